"""Figures: how good and how fast.

Scoring arithmetic and evaluation runs live here; nothing here changes an index.
"""
