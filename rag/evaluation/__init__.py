"""Figures of a library: how good retrieval and answers are, and whether they became worse.

``measure`` does what is asked for: ``asking`` asks sets of questions, ``runs`` computes figures
and compares them with earlier runs, ``report`` shows them. Nothing here changes what is indexed
in the person's own library.
"""
