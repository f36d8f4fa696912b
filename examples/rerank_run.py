"""Rerank any run file, from whichever system it comes.

python examples/rerank_run.py indexes/mine topics.tsv runs/bm25.txt runs/reranked.txt
"""

import sys

from hypserini import LuceneHypencoderSearcher
from hypserini.formats.runs import read_run, write_run
from hypserini.formats.topics import load_topics

index, topics_file, run_file, output = sys.argv[1:]
topics = load_topics(topics_file)
run = read_run(run_file)

with LuceneHypencoderSearcher(index) as searcher, write_run(output) as writer:
    for qid, query in topics:
        hits = searcher.rerank(query, run.get(qid, [])[:1000])
        writer.write(qid, hits)
        if hits.missing:
            print(f"{qid}: {len(hits.missing)} documents are not in the index and come last")
