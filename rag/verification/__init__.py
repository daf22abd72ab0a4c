"""Sentences of an answer against their evidence.

By code, not by a model: numbers, dates, units, names and negations have to stand in the evidence.
"""
