"""Answers to questions about whole documents, by reading all of them in steps.

Passages are read in groups that fit the window, and only notes that their passages support are
kept.
"""
