"""The models that find passages: embedders, and a reranker that reads them again."""
