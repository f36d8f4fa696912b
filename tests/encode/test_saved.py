"""Q-nets in files: what is read back is what was written, and nothing half is left."""

import json

import pytest
import torch
from conftest import files_of_at_most
from safetensors.torch import save

from hypserini.encode import QueryEncoder, SavedQNets, save_q_nets
from hypserini.errors import ModelError, OutputError
from hypserini.modeling import load_model

TEXTS = ["index search", "graph walk", "sort key", "heap", "merge table"]
QIDS = ["7", "b", "c/d", "é", "12"]


@pytest.fixture(scope="module")
def encoder(tiny_model):
    return QueryEncoder(load_model(tiny_model, device="cpu"))


@pytest.fixture
def documents():
    return torch.randn(6, 32, generator=torch.Generator().manual_seed(0))


def test_any_of_them_in_any_order(encoder, documents, tmp_path):
    save_q_nets(tmp_path / "saved", QIDS, encoder.batches(TEXTS, 2), {"model": "tiny"})
    saved = SavedQNets(tmp_path / "saved")
    assert saved.qids == QIDS
    assert saved.metadata == {"model": "tiny"}
    wanted = encoder.encode(TEXTS)
    assert saved.config == wanted.config
    assert torch.allclose(saved.load(QIDS)(documents), wanted(documents), atol=1e-5)
    some = ["12", "b", "c/d", "é", "7", "b"]
    order = [QIDS.index(qid) for qid in some]
    assert torch.allclose(saved.load(some)(documents), wanted[order](documents), atol=1e-5)


def test_half_precision_stays(encoder, documents, tmp_path):
    half = encoder.encode(TEXTS).to(dtype=torch.bfloat16)
    save_q_nets(tmp_path / "half", QIDS, [half], {})
    again = SavedQNets(tmp_path / "half").load(QIDS)
    assert again.dtype is torch.bfloat16
    assert torch.equal(again.score(documents), half.score(documents))


def test_weights_begin_cache_lines_wherever_they_lie_in_the_file(saved):
    for qids in (["7"], QIDS[:2]):
        parts = SavedQNets(saved).load(qids).parts()
        assert [part.data_ptr() % 64 for part in parts] == [0] * len(parts)


def test_an_interrupted_run_leaves_nothing(encoder, tmp_path):
    def failing():
        yield encoder.encode(TEXTS[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_q_nets(tmp_path / "saved", QIDS, failing(), {})
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept(encoder, tmp_path):
    save_q_nets(tmp_path / "saved", QIDS, encoder.batches(TEXTS), {})
    with pytest.raises(OutputError):
        save_q_nets(tmp_path / "saved", ["x"], encoder.batches(TEXTS[:1]), {})
    assert SavedQNets(tmp_path / "saved").qids == QIDS


@pytest.fixture
def saved(encoder, tmp_path):
    save_q_nets(tmp_path / "saved", QIDS, encoder.batches(TEXTS, 2), {"model": "tiny"})
    return tmp_path / "saved"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "have format 2 and this hypserini reads 1"),
        ({"format": "x" * 9000}, "have format 'xxx"),
        ({"metadata": None}, "is damaged .*the metadata are None"),
        ({"metadata": {"model": 5}}, "is damaged"),
        ({"q_net": 5}, "is damaged"),
        ({"q_net": {}}, "no vector_dimensions"),
        ({"q_net": {"vector_dimensions": "abc"}}, "is damaged"),
        ({"q_net": {"vector_dimensions": [float("inf"), 1]}}, "is damaged"),
        ({"q_net": {"vector_dimensions": [None, 1]}}, "is damaged"),
        (
            {"q_net": {"vector_dimensions": [4, 1], "q_net_type": []}},
            "is damaged|unknown q_net_type",
        ),
        ({"files": 5}, "is damaged"),
        ({"files": [5]}, "is damaged"),
        ({"files": [{"file": "../x", "qids": ["a"]}]}, "'../x' is no file of the folder"),
        ({"files": [{"file": "x", "qids": [None]}]}, "the query id None is no text"),
        ({"files": [{"file": "x", "qids": ["a", "a"]}]}, "the query id 'a' is no text, or occurs"),
    ],
)
def test_a_damaged_list_is_named(saved, change, message):
    path = saved / "q_nets.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message) as caught:
        SavedQNets(saved)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"format": ' + b"9" * 5000]
)
def test_what_is_no_list_is_named(saved, text):
    (saved / "q_nets.json").write_bytes(text)
    with pytest.raises(ModelError, match=r"q_nets\.json"):
        SavedQNets(saved)


def test_damaged_weights_are_named(saved, encoder):
    path = saved / "q_nets-00000.safetensors"
    whole = path.read_bytes()
    other = encoder.encode(TEXTS[:2])
    damaged = [whole[:n] for n in (0, 4, 9, 100, len(whole) - 1)]
    damaged += [b"\xff" * 8 + whole[8:], whole.replace(b'"F32"', b'"I32"')]
    damaged += [whole.replace(b'"F32"', b'"F64"'), whole.replace(b"matrix_0", b"matrix_9")]
    damaged += [whole.replace(b"matrix_0", b"vector_0"), whole.replace(b"[2,", b"[1,")]
    for tensors in (other[:1].tensors(), other.tensors() | {"matrix_0": torch.zeros(())}):
        damaged.append(save(tensors))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(ModelError) as caught:
            SavedQNets(saved).load(QIDS)
        assert len(str(caught.value)) < 500
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        SavedQNets(saved).load(QIDS)


def test_nan_names_the_query(encoder, tmp_path):
    q_net = encoder.encode(TEXTS)
    q_net.matrices[0][3, 0, 0] = float("nan")
    with pytest.raises(ModelError, match="query é "):
        save_q_nets(tmp_path / "saved", QIDS, [q_net[:2], q_net[2:]], {})


def test_a_full_disk_is_told(encoder, tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*saved \(.*File too large"):
        with files_of_at_most(1000):
            save_q_nets(tmp_path / "saved", QIDS, encoder.batches(TEXTS, 2), {})
    assert list(tmp_path.iterdir()) == []
