"""Questions that code answers, without a model: the library, the app, numbered places."""
