"""Training over document vectors that are there already, of an index or of files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import WORDS, make_documents, make_tokenizer, write_jsonl
from transformers import BertConfig

from hypserini.encode import DocumentEncoder
from hypserini.errors import HypseriniError, ModelError
from hypserini.index.build import build_index
from hypserini.index.from_vectors import index_vectors
from hypserini.index.options import IndexOptions
from hypserini.modeling import BiEncoder, load_model
from hypserini.modeling.bi_encoder import BiEncoderConfig
from hypserini.modeling.dual_encoder import PassageEncoder
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.recipe.building import build_model
from hypserini.train.recipe.config import parse_config
from hypserini.train.trainer import make_trainer, train

DIM, COUNT = 32, 120
Config = Callable[..., dict[str, Any]]


def _save_encoder(folder: Path, width: int = DIM, seed: int = 0, normalize: bool = True) -> Path:
    """A random bi-encoder, pooled by the mean."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(folder)
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    sizes |= {"vocab_size": len(tokenizer), "hidden_size": width, "max_position_embeddings": 64}
    base = BertConfig(**sizes)
    config = BiEncoderConfig.from_base(base, pooling="mean", normalize=normalize)
    model = BiEncoder(config)
    model.tokenizer = tokenizer
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder, an index of its vectors, the same in a file, and examples."""
    folder = tmp_path_factory.mktemp("vectors")
    documents = make_documents(COUNT)
    write_jsonl(folder / "corpus.jsonl", documents)
    encoder = _save_encoder(folder / "encoder")
    build_index(folder / "corpus.jsonl", folder / "index", str(encoder), progress=False)
    texts = [document["contents"] for document in documents]
    vectors = DocumentEncoder(load_model(encoder, device="cpu")).encode(texts)
    (folder / "files").mkdir()
    np.save(folder / "files" / "a.npy", vectors)
    (folder / "files" / "docids.txt").write_text("".join(f"{d['id']}\n" for d in documents))
    for number, rows in enumerate((slice(0, 50), slice(50, COUNT))):  # of no recorded model
        half = folder / f"half{number}"
        half.mkdir()
        np.save(half / "a.npy", vectors[rows])
        (half / "docids.txt").write_text("".join(f"{d['id']}\n" for d in documents[rows]))
        index_vectors([half], folder / f"shard{number}", IndexOptions(vectors="flat"))
    write_jsonl(
        folder / "train.jsonl",
        [
            {
                "query": {"content": " ".join(documents[n]["contents"].split()[:3])},
                "items": [
                    {"id": documents[(n + step) % COUNT]["id"], "score": 3.0 - step}
                    for step in range(3)
                ],
            }
            for n in range(32)
        ],
    )
    queries = {f"q{n}": " ".join(documents[n]["contents"].split()[:3]) for n in range(20)}
    (folder / "topics.tsv").write_text("".join(f"{q}\t{text}\n" for q, text in queries.items()))
    (folder / "qrels.txt").write_text("".join(f"q{n} 0 doc{n:04} 1\n" for n in range(20)))
    lines = [
        f"q{n} Q0 doc{n + step:04} {step + 1} {9 - step} run\n"
        for n in range(20)
        for step in range(4)
    ]
    (folder / "run.txt").write_text("".join(lines))
    ranks = [f"q{n}\tdoc{n + step:04}\t{step + 1}\n" for n in range(20) for step in range(4)]
    (folder / "ranks.tsv").write_text("".join(ranks))
    return folder


@pytest.fixture
def config(place: Path, tmp_path: Path) -> Config:
    """Makes a configuration; what is given goes to the sections by the keys' names."""

    def make(data: dict[str, Any] | None = None, **model: Any) -> dict[str, Any]:
        given = {
            "passage_vectors": {"index": str(place / "index")},
            "loss_type": ["margin_mse"],
            **model,
        }
        of_data = data or {"training_data_jsonl": str(place / "train.jsonl")}
        return {
            "model_config": given,
            "data_config": {"num_negatives_to_sample": 2, **of_data},
            "trainer_config": {
                "hf_trainer_config": {
                    "output_dir": str(tmp_path / "head"),
                    "per_device_train_batch_size": 8,
                    "learning_rate": 5e-3,
                    "max_steps": 4,
                    "save_strategy": "no",
                    "use_cpu": True,
                }
            },
        }

    return make


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the documents that are encoded."""
    count: list[int] = []
    forward = PassageEncoder.forward

    def counting(self: PassageEncoder, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if type(self) is PassageEncoder:
            count.append(len(ids))
        return forward(self, ids, mask)

    monkeypatch.setattr(PassageEncoder, "forward", counting)
    return count


def _rankings(index: Path, model: Path, queries: list[str]) -> dict[str, list[tuple[str, float]]]:
    with LuceneHypencoderSearcher(index, str(model), device="cpu", mode="exhaustive") as searcher:
        found = searcher.batch_search(queries, queries, COUNT)
    return {qid: [(hit.docid, hit.score) for hit in hits] for qid, hits in found.items()}


QUERIES = [" ".join(WORDS[n : n + 3]) for n in range(0, 30, 3)]


def test_the_head_begins_as_the_encoders_dot_product(
    config: Config, place: Path, tmp_path: Path
) -> None:
    settings = parse_config(config())
    trainer = make_trainer(settings, _arguments(settings))
    trainer.model.save_pretrained(tmp_path / "begun")
    head = _rankings(place / "index", tmp_path / "begun", QUERIES)
    assert head == _rankings(place / "index", place / "encoder", QUERIES)
    assert all(len(hits) == COUNT for hits in head.values())


def _arguments(settings: Any) -> Any:
    from hypserini.train.recipe.arguments import training_arguments

    return training_arguments(settings.trainer_config, settings.source, has_losses=False)


@pytest.mark.parametrize("model_type", ["hypencoder", "biencoder"])
def test_a_trained_head_searches_the_index_and_no_document_is_encoded(
    model_type: str, config: Config, place: Path, encoded: list[int]
) -> None:
    given = config(model_type=model_type)
    given["trainer_config"]["validation"] = {
        "queries": str(place / "topics.tsv"),
        "qrels": str(place / "qrels.txt"),
    }
    given["trainer_config"]["hf_trainer_config"] |= {"eval_strategy": "steps", "eval_steps": 2}
    head = train(parse_config(given), progress=False)
    tried_at_load = len(encoded)
    after = _rankings(place / "index", head, QUERIES)
    assert encoded[tried_at_load:] == []
    assert sum(encoded) <= 6  # the encoder, when it gives its query side, is tried on a few texts
    assert after != _rankings(place / "index", place / "encoder", QUERIES)
    model, encoder = load_model(head, device="cpu"), load_model(place / "encoder", device="cpu")
    assert model.fingerprint == encoder.fingerprint
    assert str(place / "encoder") in (head / "README.md").read_text()
    with pytest.raises(ModelError, match=r"no document encoder.*encoder: encode documents"):
        DocumentEncoder(model)


def test_files_judgements_and_a_run_do_as_well(config: Config, place: Path) -> None:
    data = {"training_qrels": str(place / "qrels.txt"), "training_run": str(place / "run.txt")}
    data |= {"training_queries": str(place / "topics.tsv")}
    vectors = {"files": str(place / "files"), "model": str(place / "encoder")}
    given = config(data, passage_vectors=vectors)
    head = train(parse_config(given), progress=False)
    assert _rankings(place / "index", head, QUERIES[:1])


def test_several_indexes_hold_the_vectors_between_them(config: Config, place: Path) -> None:
    indexes = [str(place / f"shard{n}") for n in range(2)]
    vectors = {"index": indexes, "model": str(place / "encoder")}
    examples = {"query": {"content": "a"}, "items": [{"id": f"doc{n:04}"} for n in (49, 50, 99)]}
    write_jsonl(place / "both.jsonl", [examples])
    data = {"training_data_jsonl": str(place / "both.jsonl")}
    given = config(data, passage_vectors=vectors, loss_type=["cross_entropy"])
    assert _rankings(place / "shard1", train(parse_config(given), progress=False), QUERIES[:1])


def test_a_query_encoder_of_another_width_and_frozen(
    config: Config, place: Path, tmp_path: Path
) -> None:
    wide = _save_encoder(tmp_path / "wide", 48, seed=3)
    query = {"model_name_or_path": str(wide), "freeze_transformer": True}
    head = load_model(train(parse_config(config(query_encoder_kwargs=query)), progress=False))
    assert (head.dim, head.config.transformer_config().hidden_size) == (DIM, 48)
    begun = load_model(wide, device="cpu").query_encoder.transformer.state_dict()
    kept = head.query_encoder.transformer.state_dict()
    assert all(torch.equal(kept[name].cpu(), weight) for name, weight in begun.items())
    assert _rankings(place / "index", tmp_path / "head", QUERIES[:1])


def test_it_goes_on_from_a_checkpoint(config: Config, place: Path) -> None:
    head = train(parse_config(config()), progress=False)
    begun = build_model(parse_config(config(checkpoint_path=str(head))), _recorded(place))
    assert begun.fingerprint == load_model(place / "encoder", device="cpu").fingerprint
    with pytest.raises(HypseriniError, match=r"trained over the vectors of .*name passage_vectors"):
        build_model(parse_config(config(checkpoint_path=str(head), passage_vectors=None)))


def _recorded(place: Path) -> Any:
    from hypserini.train.data.passage_vectors import PassageVectors, VectorsSection

    return PassageVectors(VectorsSection(index=str(place / "index")), "x").recorded


Q_NET = {"vector_dimensions": [16, 16, 1], "add_query_vector": True}


@pytest.mark.parametrize(
    ("data", "model", "message"),
    [
        (
            {"training_data_jsonl": "strange.jsonl"},
            {},
            r"strange.jsonl names 5 .* lacks 2 \(x, y\)",
        ),
        ({"training_data_jsonl": "texts.jsonl"}, {}, r"texts.jsonl, line 1: items\[0\].id is miss"),
        ({"training_beir": "x"}, {}, "training_beir gives texts, but .* passage_vectors"),
        (None, {"query_encoder_kwargs": {"converter_kwargs": Q_NET}}, "q-net .* 16 .* have 32"),
        (None, {"passage_vectors": {"files": "files"}}, "files does not say which model"),
        (None, {"passage_vectors": {"index": "shard0"}}, "shard0 does not say which model"),
        (None, {"passage_vectors": {}}, "either an index or files"),
        (None, {"passage_vectors": {"index": "index", "model": "x"}}, "leave model out"),
        (None, {"passage_vectors": {"files": "files", "model": "narrow"}}, "16 dim.* have 32"),
        (None, {"passage_vectors": {"index": "nowhere"}}, "no index at .*nowhere"),
        (None, {"passage_vectors": {"path": "index"}}, "no key 'path'"),
        (None, {"passage_encoder_kwargs": {"pooling_type": "cls"}}, "leave the latter out"),
        (None, {"normalize": True}, "both passage_vectors and normalize"),
        ({"training_qrels": "qrels.txt"}, {}, "needs topics: name them as training_queries"),
        ("ranks", {}, "ranks.tsv has ranks and no scores"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    data: Any,
    model: dict[str, Any],
    message: str,
    config: Config,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(place)
    if "narrow" in str(model) and not (place / "narrow").exists():
        _save_encoder(place / "narrow", 16)
    items = [{"id": name, "score": 1.0} for name in ("doc0001", "x", "y")]
    others = [{"id": name, "score": 1.0} for name in ("doc0001", "doc0002", "doc0003")]
    examples = [{"query": {"content": "a"}, "items": each} for each in (items, others)]
    write_jsonl(place / "strange.jsonl", examples)
    texts = [{"content": "a", "score": 1.0}] * 3
    (place / "texts.jsonl").write_text(json.dumps({"query": {"content": "a"}, "items": texts}))
    if data == "ranks":
        data = {"training_qrels": "qrels.txt", "training_run": "ranks.tsv"}
        data |= {"training_queries": "topics.tsv"}
    with pytest.raises(HypseriniError, match=message) as caught:
        train(parse_config(config(data, **model)), progress=False)
    assert str(caught.value).rstrip().count("\n") == 0


def test_the_losses_of_nested_sizes_are_summed(config: Config, place: Path) -> None:
    from hypserini.modeling.nested import shortened

    kwargs = {"converter_kwargs": {"vector_dimensions": [32, 32, 32, 1], "add_query_vector": True}}
    settings = parse_config(config(query_encoder_kwargs={**kwargs, "nested": [1]}))
    trainer = make_trainer(settings, _arguments(settings))
    with torch.no_grad():  # so that the sizes differ
        trainer.model.query_encoder.hyper_base_matrices[-1].normal_()
    batch = trainer.data_collator([trainer.train_dataset[n] for n in range(4)])
    model = trainer.model.eval()
    both = model(**batch)
    query = batch["query_input_ids"], batch["query_attention_mask"]
    groups = batch["passage_vectors"].view(4, 3, -1)
    taught = batch["labels"][:, :1] - batch["labels"][:, 1:]
    q_net, total = model.encode_queries(*query), 0.0
    for each in (q_net, shortened(q_net, 1)):
        scores = each(groups)
        total += float(((scores[:, :1] - scores[:, 1:]) - taught).square().mean().detach())
    assert float(both.loss.detach()) == pytest.approx(total, rel=1e-4)
    assert torch.allclose(both.similarity, q_net(groups), atol=1e-5)
    head = load_model(train(settings, progress=False), device="cpu")
    assert head.nested == [1]
    with pytest.raises(HypseriniError, match="nested is 'x': give the numbers"):
        train(parse_config(config(query_encoder_kwargs={**kwargs, "nested": "x"})))
    with pytest.raises(HypseriniError, match="has 2 hidden blocks and not 3"):
        train(parse_config(config(query_encoder_kwargs={**kwargs, "nested": [3]})))
