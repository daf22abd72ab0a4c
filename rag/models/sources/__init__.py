"""Where the bytes of models come from: the hub, wheels of a package index, a folder.

A source brings files; whether they are the right bytes is decided by their sha256, elsewhere.
"""
