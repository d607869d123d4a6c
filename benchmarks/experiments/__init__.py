"""Three experiments that were run before the design was fixed. They stand apart from the product."""
