"""How search grows with the collection: time, documents scored, overlap, memory, disk."""
