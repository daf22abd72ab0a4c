"""Language, messages in two languages, sentences, and the quantities in a text.

The lowest layer: it knows nothing but words.
"""
