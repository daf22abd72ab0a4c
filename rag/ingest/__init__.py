"""Folder, files, pages, passages.

What reads or draws a PDF lives here; nothing here knows the ledger, models or questions.
"""
