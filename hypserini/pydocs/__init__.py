"""A collection that every machine can make: the documentation of its installed Python packages."""
