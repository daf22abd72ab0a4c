"""What a question says: its terms, the documents and pages it names, what it follows up.

By rules, in English and Chinese; no model is asked.
"""
