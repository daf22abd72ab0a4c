"""Folder to files to pages to passages.

Every page ends in exactly one state, with a reason where it cannot be searched.
"""
