"""Request and answer types, split by subject."""
