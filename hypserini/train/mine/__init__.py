"""Mining hard negatives from an index: `python -m hypserini.train.mine`."""
