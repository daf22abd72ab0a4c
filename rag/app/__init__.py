"""The running app, and the place where its parts are put together.

The one room that may name concrete engines; everything below takes what it needs through a seam.
"""
