"""Looks for what is wrong with an index."""
