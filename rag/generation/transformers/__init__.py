"""Answers with the transformers library: its models, its ``generate``, its caches.

Ours is what it lacks: loading with words for failures, what is kept between prompts, 8-bit caches.
"""
