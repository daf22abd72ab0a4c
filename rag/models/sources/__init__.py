"""Where the bytes of models come from outside: the hub, or wheels of a package index.

A source brings files; whether they are the right bytes is decided by their sha256, elsewhere.
"""
