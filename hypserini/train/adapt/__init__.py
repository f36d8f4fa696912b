"""A head for an index, of no labels: `python -m hypserini.train.adapt`."""
