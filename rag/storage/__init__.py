"""The ledger (SQLite, the truth) and the vector indexes (a cache, and the reference)."""
