"""Questions made from a library's own text, whose answers are known by where they stand.

They calibrate the relevance threshold after a sync, and are what ``rag eval --own`` asks.
"""
