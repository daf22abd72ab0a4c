"""Folder to files to pages to passages."""
