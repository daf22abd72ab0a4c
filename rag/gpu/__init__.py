"""What the machine is doing: memory, load, heat.

Readings live here; nothing here decides what to answer.
"""
