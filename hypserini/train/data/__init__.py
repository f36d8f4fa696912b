"""Training data: examples from JSON lines, hub data sets, triples and BEIR folders."""
