"""Scores of a teacher for training data: `python -m hypserini.train.teach`."""
