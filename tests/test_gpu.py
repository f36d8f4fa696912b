"""Every mode, format and command on a graphics card, against the same on the CPU.

Without a card all of it is skipped. HYPSERINI_TEST_DEVICE names another device: `simulated` is one
(see `simulated.py`) whose tensors mix with no others, as on a card, so that all but a card's own
arithmetic and speed is tested anywhere.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import simulated
import torch
from conftest import make_documents, write_jsonl
from rankings import pairs, scores_like

from hypserini import LuceneHypencoderSearcher, QNet, load_model
from hypserini.defaults import BUNDLED_MODEL
from hypserini.encode.__main__ import main as encode
from hypserini.formats.runs import read_run
from hypserini.index.__main__ import main as index_command
from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.modeling import QNetConfig
from hypserini.search.__main__ import main as search
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.table import MODES
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.resident.products import lengths_of, products
from hypserini.search.resident.residence import Residence
from hypserini.train.mine.__main__ import main as mine

DEVICE = simulated.wanted("cuda")
FORMATS = ("hnsw", "hnsw-int8", "flat")
RESIDENT = {
    "resident": Residence(True, "fp32"),
    "block by block": Residence(False),
}
EXACT = ("--dtype", "float32")  # which a card would not choose itself
OPTIONS = {"tangent": TangentOptions(fetch=64, max_scored=300), "graph": GraphOptions()}

pytestmark = pytest.mark.skipif(
    DEVICE == "cuda" and not torch.cuda.is_available(), reason="no graphics card here"
)


def random_q_net(config: QNetConfig, queries: int = 3) -> QNet:
    generator = torch.Generator().manual_seed(0)
    matrices = [
        torch.randn(queries, *shape, generator=generator) * shape[0] ** -0.5
        for shape in config.matrix_shapes
    ]
    biases = [torch.randn(queries, size, generator=generator) for size in config.vector_sizes]
    return QNet(config, matrices, biases)


@pytest.mark.parametrize(
    "config",
    [
        QNetConfig((64, 1)),
        QNetConfig((32, 32, 1), activation_type="gelu"),
        QNetConfig((160, 160, 160, 1)),
        QNetConfig((768, 768, 768, 1), layer_norm_before_residual=False),
        QNetConfig((48, 32, 16, 1), do_residual=False, activation_type="leaky_relu"),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 100, 20_000])
def test_q_nets_score_and_lead_as_on_the_cpu(config: QNetConfig, rows: int) -> None:
    q_net = random_q_net(config)
    there = q_net.to(device=DEVICE)
    x = torch.randn(rows, config.dim, generator=torch.Generator().manual_seed(1))
    scores = q_net.score(x)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(there.score(x).cpu(), scores, **close)
    for ours, theirs in zip(q_net.tangent(x[:48]), there.tangent(x[:48]), strict=True):
        torch.testing.assert_close(theirs.cpu(), ours, **close)
    half = q_net.to(device=DEVICE, dtype=torch.bfloat16).score(x[:5000]).cpu()
    assert (half - scores[:, :5000]).abs().mean() < 0.05 * scores.abs().mean() + 0.05


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    """One index a format, of documents enough for a graph on either line of Lucene."""
    folder = tmp_path_factory.mktemp("gpu")
    corpus = write_jsonl(folder / "corpus.jsonl", make_documents(2000, seed=2))
    model = load_model(str(tiny_model), device="cpu")
    for kind in FORMATS:
        build_index(corpus, folder / kind, model, IndexOptions(vectors=kind), progress=False)
    return {kind: folder / kind for kind in FORMATS}


def ranked(
    path: Path,
    mode: str,
    topics: dict[str, str],
    device: str,
    dtype: str = "float32",
    residence: Residence | None = None,
):
    queries, qids = list(topics.values()), list(topics)
    with LuceneHypencoderSearcher(
        path, device=device, dtype=dtype, batch_size=4, residence=residence
    ) as searcher:
        assert searcher.encoder.model.device.type == device.partition(":")[0]
        if mode == "rerank":
            given = {qid: [f"doc{i:04}" for i in range(300)] for qid in qids}
            return searcher.batch_rerank(queries, qids, given, 50)
        how = {"mode": mode, "options": OPTIONS.get(mode)}
        found = searcher.batch_search(queries, qids, 50, **how)
        threaded = searcher.batch_search(queries, qids, 50, 3, **how)
        best = [hits[0].score for hits in found.values()]
        assert [hits[0].score for hits in threaded.values()] == scores_like(best)
        return found


@pytest.mark.parametrize("where", RESIDENT)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_ranks_every_format_as_on_the_cpu(
    indexes: dict[str, Path], topics: dict[str, str], mode: str, kind: str, where: str
) -> None:
    here = ranked(indexes[kind], mode, topics, "cpu")
    there = ranked(indexes[kind], mode, topics, DEVICE, residence=RESIDENT[where])
    overlaps = []
    for qid, hits in here.items():
        expected, found = dict(pairs(hits)), dict(pairs(there[qid]))
        assert len(found) == len(expected) == 50
        both = expected.keys() & found.keys()
        overlaps.append(len(both) / 50)
        part = {docid: found[docid] for docid in both}
        assert part == scores_like({docid: expected[docid] for docid in both}, expected.values())
        assert hits.cost.mode == there[qid].cost.mode or mode == "auto"  # by what each device takes
    # Rounding may turn a walk; what is scored is scored alike.
    assert min(overlaps) >= (0.96 if mode in ("exhaustive", "rerank", "auto") else 0.6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the bundled model: random q-nets tell documents apart by too little."""
    folder = tmp_path_factory.mktemp("trained")
    corpus = write_jsonl(folder / "corpus.jsonl", make_documents(1000, seed=2))
    build_index(corpus, folder / "index", BUNDLED_MODEL, device=DEVICE, progress=False)
    return folder / "index"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("mode", MODES)
def test_half_precision_finds_much_the_same(
    trained: Path, topics: dict[str, str], mode: str, dtype: str
) -> None:
    narrow = Residence(True, {"bfloat16": "bf16", "float16": "fp16"}[dtype])
    whole = ranked(trained, mode, topics, DEVICE, residence=RESIDENT["resident"])
    half = ranked(trained, mode, topics, DEVICE, dtype, narrow)
    shared = [len({h.docid for h in whole[q]} & {h.docid for h in half[q]}) for q in topics]
    assert sum(shared) >= 0.8 * 50 * len(topics)


def test_given_q_nets_are_scored_on_the_card(indexes: dict[str, Path], monkeypatch) -> None:
    q_net = random_q_net(QNetConfig((32, 32, 1)))
    used = []
    score = QNet.score

    def noting(self: QNet, block: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        used.append(self.device.type)
        return score(self, block, out)

    monkeypatch.setattr(QNet, "score", noting)
    with LuceneHypencoderSearcher(indexes["hnsw"], device=DEVICE) as searcher:
        for mode in ("exhaustive", "tangent", "graph"):
            assert len(searcher.search(q_net[0], 5, mode=mode, options=OPTIONS.get(mode))) == 5
    assert set(used) == {DEVICE.partition(":")[0]}


def test_texts_and_given_q_nets_in_one_batch(indexes: dict[str, Path]) -> None:
    q_net = random_q_net(QNetConfig((32, 32, 32, 1)))[0]
    with LuceneHypencoderSearcher(indexes["hnsw"], device=DEVICE, dtype="float32") as searcher:
        together = searcher.batch_search(["graph walk", q_net], ["1", "2"], 5, mode="exhaustive")
        alone = searcher.search(q_net, 5, mode="exhaustive")
    assert [hit.docid for hit in together["2"]] == [hit.docid for hit in alone]


def test_long_blocks_keep_what_is_no_number() -> None:
    q_net = random_q_net(QNetConfig((32, 32, 1)), 1).to(device=DEVICE)
    x = torch.randn(5000, 32, generator=torch.Generator().manual_seed(1))
    x[4321, 7] = torch.nan
    assert q_net.score(x)[0].isnan().nonzero().flatten().tolist() == [4321]


def test_nothing_is_left_on_the_card(indexes: dict[str, Path], topics: dict[str, str]) -> None:
    if not DEVICE.startswith("cuda"):
        pytest.skip("only a card says what is left on it")
    query = next(iter(topics.values()))
    held = []
    for _ in range(3):
        with LuceneHypencoderSearcher(indexes["hnsw"], device=DEVICE) as searcher:
            for mode in ("exhaustive", "tangent"):
                searcher.search(query, 5, mode=mode, options=OPTIONS.get(mode))
        del searcher
        gc.collect()
        held.append(torch.cuda.memory_allocated())
    assert held[1] == held[2]


def on_the_card(command: Callable[[list[str]], int], *arguments: object) -> None:
    assert command([*map(str, arguments), "--device", DEVICE, "--quiet"]) == 0


def test_encoding_indexing_and_searching_commands(
    tmp_path: Path, tiny_model: Path, collection: Path, topics_file: Path, index: Path
) -> None:
    from_cpu = tmp_path / "cpu.txt"
    here = ("--index", index, "--topics", topics_file, "--mode", "exhaustive", "--hits", 400)
    assert search([*map(str, here), "--device", "cpu", "--quiet", "--output", str(from_cpu)]) == 0
    expected = read_run(from_cpu)

    def assert_as_on_the_cpu(made: Path, *flags: object) -> None:
        run = tmp_path / "run.txt"
        base = ("--index", made, "--topics", topics_file, "--output", run, "--hits", 400)
        base += ("--resident", "--resident-format", "fp32", *EXACT)
        on_the_card(search, *base, "--mode", "exhaustive", *flags)
        for qid, hits in read_run(run).items():
            assert dict(hits) == scores_like(dict(expected[qid]))

    on_the_card(
        index_command,
        *("--collection", collection, "--model", tiny_model, "--index", tmp_path / "a", *EXACT),
    )
    assert_as_on_the_cpu(tmp_path / "a")
    for format in ("npy", "jsonl", "parquet"):
        vectors, made = tmp_path / format, tmp_path / f"from-{format}"
        what = ("--collection", collection, "--model", tiny_model, "--format", format, *EXACT)
        on_the_card(encode, *what, "--output", vectors)
        on_the_card(index_command, "--vectors-from", vectors, "--index", made)
        assert_as_on_the_cpu(made)
    q_nets = tmp_path / "q-nets"
    what = ("--topics", topics_file, "--model", tiny_model, *EXACT)
    on_the_card(encode, *what, "--output", q_nets)
    assert_as_on_the_cpu(index, "--encoded-queries", q_nets)


@pytest.mark.parametrize(
    "flags",
    [
        ("--mode", "tangent", "--check", 3, "--explain-cost", "--fetch", 32),
        ("--mode", "graph", "--entry", "bm25"),
        ("--mode", "graph", "--entry", "layer", "--filter", "graph OR tree"),
        ("--first-stage", "bm25", "--adaptive", "--budget", 100),
        ("--hybrid", "rrf", "--dtype", "bfloat16"),
        ("--mode", "auto", "--threads", 2, "--batch-size", 3),
    ],
    ids=lambda flags: " ".join(map(str, flags)),
)
def test_the_search_command(
    tmp_path: Path, indexes: dict[str, Path], topics_file: Path, topics: dict[str, str], flags
) -> None:
    run = tmp_path / "run.txt"
    base = ("--index", indexes["hnsw"], "--topics", topics_file, "--output", run, "--hits", 20)
    on_the_card(search, *base, *flags)
    assert {qid: len(hits) for qid, hits in read_run(run).items()} == dict.fromkeys(topics, 20)
    on_the_card(search, "--index", indexes["hnsw"], "--query", "graph walk beam", "--hits", 3)


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Queries of a document's first words, with the document as the positive."""
    lines = []
    for document in make_documents(40, seed=2):
        query = " ".join(document["contents"].split()[:4])
        item = {"id": document["id"], "content": document["contents"], "type": "positive"}
        lines.append({"query": {"id": document["id"], "content": query}, "items": [item]})
    return write_jsonl(tmp_path / "train.jsonl", lines)


def test_mining_teaching_and_training_commands(
    tmp_path: Path, indexes: dict[str, Path], examples: Path, tiny_model: Path
) -> None:
    if DEVICE.startswith(simulated.NAME):
        pytest.skip("transformers loads nothing onto a device that is only simulated")
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from hypserini.train.teach.__main__ import main as teach

    mined, taught, teacher = (tmp_path / name for name in ("mined", "taught", "teacher"))
    what = ("--index", indexes["hnsw"], "--input", examples, "--output", mined)
    on_the_card(mine, *what, "--mode", "tangent", "--negatives", 3)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(teacher)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    small = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, num_labels=1, **sizes)
    BertForSequenceClassification(small).save_pretrained(teacher)
    on_the_card(teach, "--input", mined, "--output", taught, "--model", teacher)
    scores = [item["score"] for line in taught.open() for item in json.loads(line)["items"]]
    assert len(scores) == 4 * 40
    train_on_the_card(tmp_path, taught, tiny_model)


def train_on_the_card(tmp_path: Path, data: Path, model: Path) -> None:
    """The Trainer takes a card that is there; its model searches on it."""
    import yaml

    from hypserini.train.__main__ import main as train

    out = tmp_path / "out"
    arguments = {"output_dir": str(out), "max_steps": 3, "per_device_train_batch_size": 8}
    arguments |= {"save_strategy": "no", "bf16": DEVICE == "cuda", "use_cpu": DEVICE != "cuda"}
    config = {
        "model_config": {
            "checkpoint_path": str(model),
            "loss_type": ["margin_mse", "cross_entropy"],
            "loss_kwargs": [{}, {"only_use_first_item": True}],
        },
        "data_config": {"training_data_jsonl": str(data), "num_negatives_to_sample": 3},
        "trainer_config": {"hf_trainer_config": arguments},
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    assert train([str(tmp_path / "train.yaml"), "--quiet"]) == 0
    corpus = write_jsonl(tmp_path / "few.jsonl", make_documents(50, seed=2))
    build_index(corpus, tmp_path / "trained", str(out), device=DEVICE, progress=False)
    with LuceneHypencoderSearcher(tmp_path / "trained", device=DEVICE) as searcher:
        assert len(searcher.search("graph walk", 5)) == 5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_products_with_narrow_vectors_are_exact(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(70_000, 96, generator=generator).to(dtype)
    directions = 1e3 * torch.randn(3, 96, generator=generator)
    by_angle = torch.tensor([False, True, False])
    wanted = directions.double() @ vectors.double().T
    wanted[1] /= vectors.double().norm(dim=1)
    there = vectors.to(DEVICE)
    found = products(there, directions.to(DEVICE), by_angle.to(DEVICE), lengths_of(there))
    near = 1e-5 * wanted.abs().amax(dim=1, keepdim=True)
    assert bool(((found.cpu().double() - wanted).abs() <= near).all())
