"""Why a sentence that stands in a document did not reach the answer.

Behind ``rag why`` and "Why not…?": every stage is asked in order, and the first that lost the
sentence is named.
"""
