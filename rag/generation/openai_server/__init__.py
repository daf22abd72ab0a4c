"""Models behind an OpenAI-compatible URL.

Asked through LangChain, at the address that the settings name and nowhere else.
"""
