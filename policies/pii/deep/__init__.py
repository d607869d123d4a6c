"""Names and places, which have no form that a pattern could know: the deep path."""
