"""What a dot product cannot do, and a small q-net can: `python -m benchmarks.expressiveness`."""
