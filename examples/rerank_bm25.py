"""Two stages in Pyserini's manner: BM25, then the q-net. One import and one line are hypserini's.

python examples/rerank_bm25.py indexes/mine topics.tsv runs/reranked.txt
python -m pyserini.eval.trec_eval -m ndcg_cut.10 qrels.txt runs/reranked.txt
"""

import sys

from hypserini import LuceneHypencoderSearcher  # first: it finds Pyserini a Java

# isort: split
from pyserini.output_writer import OutputFormat, get_output_writer
from pyserini.query_iterator import TopicsFormat, get_query_iterator
from pyserini.search.lucene import LuceneSearcher

index, topics_file, output = sys.argv[1:]
qids, queries = zip(*get_query_iterator(topics_file, TopicsFormat.DEFAULT), strict=True)
qids = [str(qid) for qid in qids]

searcher = LuceneSearcher(index)
hits = searcher.batch_search(list(queries), qids, k=1000, threads=2)
hits = LuceneHypencoderSearcher(index).batch_rerank(queries, qids, hits)

with get_output_writer(output, OutputFormat.TREC, tag="reranked") as writer:
    for qid in qids:
        writer.write(qid, hits[qid])
