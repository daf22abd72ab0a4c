"""Measures how fast models answer on this machine, and how much of its limits they use.

``run`` measures row after row, each in a process of its own (``worker``); ``report`` shows them.
"""
