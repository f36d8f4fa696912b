"""A head for an index that is there already, Anserini's too: no document is encoded again.

python examples/head_over_index.py indexes/anserini ENCODER train.jsonl models/head "a query"

`train.jsonl` names documents by docid, with a teacher's scores where there are some:
{"query": {"content": "..."}, "items": [{"id": "relevant"}, {"id": "not"}, ...]}
"""

import sys

from hypserini import LuceneHypencoderSearcher
from hypserini.train.recipe.config import read_config
from hypserini.train.trainer import train

index, encoder, examples, output, query = sys.argv[1:]
with LuceneHypencoderSearcher(index, encoder) as searcher:
    dim = searcher.index.dimension
    before = [hit.docid for hit in searcher.search(query, k=5)]

settings = {
    "model_config.passage_vectors": {"index": index, "model": encoder},
    "model_config.query_encoder_kwargs.converter_kwargs.vector_dimensions": [dim, dim, dim, 1],
    "model_config.loss_type": ["cross_entropy"],
    "data_config.training_data_jsonl": examples,
    "data_config.num_negatives_to_sample": 1,
    "trainer_config.hf_trainer_config.output_dir": output,
}
head = train(read_config("head", [f"{key}={value}" for key, value in settings.items()]))

with LuceneHypencoderSearcher(index, str(head)) as searcher:
    after = [hit.docid for hit in searcher.search(query, k=5)]
print("encoder:", *before)
print("head:   ", *after)
