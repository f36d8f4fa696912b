"""Indexes: collections, the writer and reader, what an index knows of itself, and building one."""
