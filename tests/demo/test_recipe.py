"""The recipe of the bundled model: every stage trains and hands on to the next."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hypserini.demo import recipe
from hypserini.demo.tokenizer import train_wordpiece
from hypserini.demo.train_small import save_half, small_folder
from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.modeling import load_model
from hypserini.train.recipe.config import parse_config
from hypserini.train.trainer import train

COLORS = ("red", "green", "blue", "white", "black", "brown", "yellow", "grey")
ROUGE = ("rouge", "vert", "bleu", "blanc", "noir", "brun", "jaune", "gris")
THINGS = ("house", "river", "bird", "train", "violin", "apple", "stone", "letter")
CHOSES = ("maison", "fleuve", "oiseau", "wagon", "alto", "pomme", "pierre", "lettre")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizer, validation and pairs of 64 documents, asked for in words that none of them has."""
    folder = tmp_path_factory.mktemp("small")
    names = [f"{color} {thing}" for color in COLORS for thing in THINGS]
    asked = [f"{color} {thing}" for color in ROUGE for thing in CHOSES]
    train_wordpiece([*names, *asked] * 4, 400, max_length=recipe.POSITIONS).save_pretrained(
        folder / "tokenizer"
    )
    documents = [f"about the {name}" for name in names]
    lines = []
    for n in range(recipe.WORD_BATCH):
        chosen = [documents[(n + step) % 64] for step in (0, 1, 8, 17)]
        items = [{"content": text} for text in chosen]
        lines.append(json.dumps({"query": {"content": asked[n % 64]}, "items": items}))
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    validation = folder / "validation"
    validation.mkdir()
    rows = [json.dumps({"id": f"d{n}", "contents": text}) for n, text in enumerate(documents)]
    (validation / "docs.jsonl").write_text("\n".join(rows) + "\n")
    (validation / "topics.tsv").write_text("".join(f"q{n}\t{asked[n]}\n" for n in range(64)))
    (validation / "qrels.txt").write_text("".join(f"q{n} 0 d{n} 1\n" for n in range(64)))
    return folder


def _ndcg(trained: Path) -> list[float]:
    history = json.loads((trained / "trainer_state.json").read_text())["log_history"]
    return [entry["eval_nDCG@10"] for entry in history if "eval_nDCG@10" in entry]


@pytest.mark.slow  # trains all stages; what they are made of has tests of its own in tests/train
def test_each_stage_begins_where_the_words_ended(folder: Path) -> None:
    plan = recipe.Recipe(folder, use_cpu=True)
    pairs = folder / "pairs.jsonl"
    words = train(parse_config(plan.words(pairs, 20)), progress=False)
    figures = _ndcg(words)
    assert figures[-1] > 0.9  # no word is shared: by chance below 0.1
    for name, blocks in (("hypencoder-4", 4), ("bi-encoder", 0)):
        for config in (plan.model(name, pairs, 1), plan.mined(name, pairs, 1)):
            trained = train(parse_config(config), progress=False)
            assert _ndcg(trained)[-1] == pytest.approx(figures[-1], abs=0.1)
            save_half(trained, small_folder(folder, trained.name))
            model = load_model(small_folder(folder, trained.name), device="cpu")
            vectors = DocumentEncoder(model).encode(["about the red house", "about a bird"])
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
            q_net = QueryEncoder(model).encode(["rouge"])
            assert len(q_net.config.vector_dimensions) == blocks + 2
