"""From a question to ranked passages.

Two searches, by words and by meaning, are fused into one ranking; no language model is asked.
"""
