"""Questions made from a library's own text, whose answers are known by where they stand."""
