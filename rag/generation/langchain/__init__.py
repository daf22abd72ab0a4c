"""Any LangChain chat model as the one that answers."""
