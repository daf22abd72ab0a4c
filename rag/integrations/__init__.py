"""RAG Desk inside other frameworks.

They may import the framework plainly; nothing else of the project imports them.
"""
