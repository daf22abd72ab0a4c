"""Answers questions about a person's own PDFs, on that person's machine.

Everything but the screen lives here; nothing in this package imports gradio.
"""
