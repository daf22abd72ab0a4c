"""Answers to questions about whole documents, by reading all of them in steps."""
