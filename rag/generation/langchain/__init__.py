"""Any LangChain chat model as the one that answers.

Needs ``langchain_core`` only; which model it is, the caller decides.
"""
