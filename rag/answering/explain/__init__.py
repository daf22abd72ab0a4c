"""Why a sentence that stands in a document did not reach the answer."""
