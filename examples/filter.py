"""Search only some documents: a query in Lucene's syntax, or a list of docids.

python examples/filter.py indexes/mine "graph search" "contents:walk"
"""

import sys

from hypserini import LuceneHypencoderSearcher

index, query, only = sys.argv[1:]

with LuceneHypencoderSearcher(index) as searcher:
    for hit in searcher.search(query, k=5, filter=only):
        print(hit.docid, f"{hit.score:.4f}")
    few = [hit.docid for hit in searcher.search(query, k=3)]
    print(len(searcher.search(query, k=5, filter=few)), "hits among", few)
