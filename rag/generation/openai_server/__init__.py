"""Models behind an OpenAI-compatible URL."""
