"""Does a model fit, and how is it loaded.

Arithmetic on sizes: memory as it is read, or of another card, and the best layout that fits it.
"""
