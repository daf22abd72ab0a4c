"""Vector indexes: Chroma, exact search, and what keeps them equal to the ledger.

They hold ids and vectors only, and are rebuilt from the ledger without embedding anything again.
"""
