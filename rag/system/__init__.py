"""What every room may use of the machine: secrets, environment, memory, priorities, charts,
and what torch does best on its processor.

Below every room that reads, searches or answers, so that any of them may use it.
"""
