"""The running app, and the place where its parts are put together."""
