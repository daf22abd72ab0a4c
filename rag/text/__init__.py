"""Language, messages in two languages, sentences, and the quantities in a text."""
