"""Prompts, and the engines that answer them: one folder an engine."""
