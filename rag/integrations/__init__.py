"""RAG Desk inside other frameworks."""
