"""The ledger (SQLite, the truth) and the vector indexes (a cache, and the reference).

What keeps data lives here; nothing here reads a PDF or loads a model.
"""
