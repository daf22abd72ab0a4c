"""Prompts, and the engines that answer them: a file or a folder for each engine.

An engine is any class with the methods of ``rag.protocols.TextGenerator``; it inherits nothing.
"""
