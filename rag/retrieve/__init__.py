"""From a question to ranked passages.

Analysis of words, embedding, fusion and ranking live here; nothing here generates text.
"""
