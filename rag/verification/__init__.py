"""Sentences of an answer against their evidence."""
