"""Prompts, and the engines that answer them: one folder an engine.

An engine is any class with the methods of ``rag.protocols.TextGenerator``; it inherits nothing.
"""
