"""Encode topics once, as on a machine with a GPU, and search with the saved q-nets elsewhere.

python examples/encoded_queries.py indexes/mine topics.tsv qnets/mine
"""

import sys

from hypserini import LuceneHypencoderSearcher, load_model
from hypserini.encode import QueryEncoder, SavedQNets, save_q_nets
from hypserini.formats.topics import load_topics

index, topics_file, folder = sys.argv[1:]
topics = load_topics(topics_file)

with LuceneHypencoderSearcher(index) as searcher:
    model = load_model(searcher.metadata.model, settings=searcher.metadata.settings)
    q_nets = QueryEncoder(model).batches(topics.texts)
    save_q_nets(folder, topics.qids, q_nets, {"model": model.name})

    saved = SavedQNets(folder)
    for qid in topics.qids[:3]:
        best = searcher.search(saved.load([qid]), k=1)[0]
        print(qid, best.docid, f"{best.score:.4f}")
