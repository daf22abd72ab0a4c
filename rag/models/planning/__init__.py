"""Does a model fit, and how is it loaded."""
