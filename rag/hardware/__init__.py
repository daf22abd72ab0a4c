"""What the machine is doing: memory, load, heat.

Reads and reports; only ``thermal`` acts, by pausing between tokens.
"""
