"""Which weights there are, where they come from, and whether they are the right bytes.

Catalogue, download and verification live here; nothing here runs a model.
"""
