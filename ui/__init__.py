"""The screen: Gradio mounted in FastAPI on 127.0.0.1. It draws values and decides nothing.

Importing this package loads no Gradio; only ``ui.app`` and ``ui.layout`` do.
"""
