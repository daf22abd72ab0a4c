"""From a question to the events of its answer.

Knows how a question becomes events; what the events look like on a screen or in a terminal is
decided above.
"""
