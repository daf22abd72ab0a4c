"""Questions that code answers without a model: the library, the app, numbered places.

At once, and from what is kept: the list of documents, the places found in them, and what the app
says of itself.
"""
