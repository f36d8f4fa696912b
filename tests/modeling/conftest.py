"""A bare encoder as transformers saves it, and its token states, for the tests of what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import make_tokenizer
from transformers import BertConfig, BertModel

TEXTS = ["index search", "graph walk beam width", "a"]


def bert_config(tokenizer: Any, **changes: Any) -> BertConfig:
    """The shape of the tests' BERT."""
    return BertConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 40,
            **changes,
        }
    )


class Bare:
    """A folder with a random BERT and a tokenizer, which a test may add to or spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokenizer = make_tokenizer(folder)
        torch.manual_seed(0)
        self.bert = BertModel(bert_config(self.tokenizer)).eval()
        self.bert.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def write(self, name: str, values: Any) -> None:
        """Write a JSON file, and the folders above it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def edit(self, name: str, **changes: Any) -> None:
        """Change keys of a JSON file; None takes one out."""
        values = json.loads((self.folder / name).read_text()) | changes
        self.write(name, {key: value for key, value in values.items() if value is not None})

    @torch.no_grad()
    def states(self, text: str, length: int = 40) -> torch.Tensor:
        """The token states [tokens, 32] of one text."""
        row = self.tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
        ids, mask = row["input_ids"], row["attention_mask"]
        return self.bert(ids, attention_mask=mask).last_hidden_state[0]


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """A bare encoder in a folder of its own."""
    return Bare(tmp_path / "bare")
