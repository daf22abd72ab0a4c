"""Figures of a library: how good retrieval and answers are, and whether they became worse.

``measure`` asks sets of questions, ``figures`` computes, ``runs`` compares with earlier runs,
``report`` shows. Nothing here changes what is indexed in the person's own library.
"""
