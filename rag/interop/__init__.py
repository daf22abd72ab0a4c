"""RAG Desk inside LangChain: its search as a retriever, its model as a chat model.

``open_library`` opens a folder for reading; ``RagRetriever`` and ``RagChatModel`` may also be
made by hand around any retriever or generator of this project.
"""

from rag.interop.chat_model import RagChatModel
from rag.interop.opening import OpenLibrary, open_library
from rag.interop.retriever import RagRetriever

__all__ = ["OpenLibrary", "RagChatModel", "RagRetriever", "open_library"]
