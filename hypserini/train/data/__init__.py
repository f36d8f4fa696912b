"""Training data: examples from JSON lines, hub data sets, triples and BEIR folders."""

from hypserini.train.data.dataset import TrainingData
from hypserini.train.data.examples import Example, Item
from hypserini.train.data.opening import training_data, validation_data

__all__ = ["Example", "Item", "TrainingData", "training_data", "validation_data"]
