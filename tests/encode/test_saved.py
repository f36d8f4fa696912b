"""Q-nets in files: what is read back is what was written, and nothing half is left."""

import pytest
import torch
from conftest import files_of_at_most

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
