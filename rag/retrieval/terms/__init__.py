"""Terms of a trade, from files: what a figure is computed from, what a thing is also called.

Shipped files and those of the person have one format: docs/terms.md.
"""
