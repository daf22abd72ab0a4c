"""Answering questions about whole documents: what is read, the notes taken, the answer.

No engine lives here and no retrieval; how questions of the kind are told is in retrieve.
"""
