"""The ledger (SQLite, the truth) and the vector indexes (a cache, and the reference).

A document is findable only after its transaction committed; Chroma can be thrown away at any
time.
"""
