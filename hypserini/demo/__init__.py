"""A first look: a real collection, a search and an evaluation without any download."""
