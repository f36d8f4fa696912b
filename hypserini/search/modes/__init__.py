"""The modes of searching, one a file, and the table of their names."""
