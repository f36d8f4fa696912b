"""BM25 and q-net over one index, fused.

python examples/hybrid.py indexes/mine "graph search" [rrf|interpolate|average|normalize]
"""

import sys

from hypserini import LuceneHypencoderSearcher
from hypserini.search.bm25 import Bm25
from hypserini.search.hybrid import HybridOptions, fuse

index, query, *method = sys.argv[1:]
options = HybridOptions(*method or ["rrf"])

with Bm25(index) as bm25, LuceneHypencoderSearcher(index) as searcher:
    by_words = bm25.search(query, k=100)
    by_q_net = searcher.search(query, k=100)
    [hits] = fuse([by_words], [by_q_net], k=10, options=options)
    for rank, hit in enumerate(hits, start=1):
        print(rank, hit.docid, f"{hit.score:.4f}")
