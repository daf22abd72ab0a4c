"""Vector indexes: Chroma, exact search, and what keeps them equal to the ledger."""
