"""The files of the field, read and written; none of it needs a model or an index."""
