"""Search an index, one query and many, and write a TREC run.

python examples/search.py indexes/mine topics.tsv runs/mine.txt
"""

import sys

from hypserini import LuceneHypencoderSearcher
from hypserini.formats.runs import write_run
from hypserini.formats.topics import load_topics

index, topics_file, output = sys.argv[1:]
topics = load_topics(topics_file)

with LuceneHypencoderSearcher(index) as searcher:
    for rank, hit in enumerate(searcher.search(topics.texts[0], k=3), start=1):
        print(rank, hit.docid, f"{hit.score:.4f}", searcher.doc(hit.docid).contents()[:60])

    with write_run(output) as run:
        for qid, hits in searcher.stream_search(topics.texts, topics.qids, k=1000):
            run.write(qid, hits)
