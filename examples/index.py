"""Index a collection with a Hypencoder: text and vectors in one Lucene index.

python examples/index.py corpus.jsonl indexes/mine [MODEL]
"""

import sys

from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions

collection, index, *model = sys.argv[1:]
options = IndexOptions(batch_size=64, vectors="hnsw")
metadata = build_index(collection, index, *(model or ["hypserini-small"]), options)
print(f"{metadata.consumed} documents by {metadata.model}, {metadata.truncated} of them cut")
