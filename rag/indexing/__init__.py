"""From the folder's files to passages that can be found, and back out again.

Syncing, rebuilding, recognising and forgetting live here, step by step; what reads a PDF, embeds
or stores lives in the rooms below, and who asks for it is ``rag.indexing.library`` above.
"""
