"""Text as vectors: one module for each engine, and what they share.

``sentence_transformers`` and ``onnxruntime`` are named after the libraries that they use.
"""
