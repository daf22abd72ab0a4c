"""From passages to an answer with its evidence.

Prompts, engines, streaming and citations live here; nothing here searches.
"""
