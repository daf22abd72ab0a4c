"""Values as HTML, one module a part of the screen.

A view computes what a template shows; the HTML itself stands in ``ui/templates``.
"""
