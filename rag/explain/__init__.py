"""Why a sentence that stands in a document did not reach the answer.

It follows the sentence through every stage, from the file to the prompt and the answer, and
tells with numbers which one lost it and what to do about it. Nothing is changed by asking.
"""
