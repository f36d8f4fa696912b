"""Texts become the tensors of a step as they are encoded later: prefixed, cut, padded."""

from pathlib import Path

import torch
from transformers import AutoTokenizer

from hypserini.train.collator import Collator
from hypserini.train.data.examples import Example, Item


def test_prefixes_lengths_and_padding(tokenizer: Path) -> None:
    known = AutoTokenizer.from_pretrained(tokenizer)
    collate = Collator(
        known,
        query_max_length=4,
        document_max_length=6,
        query_prefix="bus ",
        document_prefix="pear ",
        labels=True,
    )
    items = (Item("apple", 1.0), Item("apple pear bus apple pear", 0.0))
    batch = collate([Example("apple pear bus apple", items)])
    query = known("bus apple pear bus apple", truncation=True, max_length=4)["input_ids"]
    assert batch["query_input_ids"].tolist() == [query]
    short, long = (
        known(f"pear {item.content}", truncation=True, max_length=6)["input_ids"] for item in items
    )
    pads = [known.pad_token_id] * (len(long) - len(short))
    assert batch["passage_input_ids"].tolist() == [short + pads, long]
    mask = torch.ones(2, len(long), dtype=torch.int64)
    mask[0, len(short) :] = 0
    assert torch.equal(batch["passage_attention_mask"], mask)
    assert batch["labels"].tolist() == [[1.0, 0.0]]
