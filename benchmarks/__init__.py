"""The measurements behind the documentation's figures: `python -m benchmarks [name ...]`."""
