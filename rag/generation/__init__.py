"""Language models that answer, a folder for each engine.

What all engines say and stream lives in ``rag.generate``, for now.
"""
