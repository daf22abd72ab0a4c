"""What every room may use of the machine: secrets, environment, memory, processor, charts.

Below every room that reads, searches or answers, so that any of them may use it.
"""
