"""Two processes that train together, against one that holds the joint batch.

The file is both the test and, run as a script, one of the two processes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from transformers import BertConfig

from hypserini.errors import ModelError
from hypserini.modeling import HypencoderConfig, HypencoderDualEncoder, QNetConfig

PROCESSES, QUERIES, ITEMS = 2, 3, 2  # of each process
LOSSES = [
    ("margin_mse", {}),
    ("cross_entropy", {"cross_device_negatives": True}),
    ("cross_entropy", {"cross_device_negatives": True, "only_use_first_item": True}),
]


def new_model() -> HypencoderDualEncoder:
    base = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(0)
    config = HypencoderConfig.from_base(
        base,
        QNetConfig((16, 16, 1), do_residual_on_last=True),
        loss_type=[name for name, _ in LOSSES],
        loss_kwargs=[kwargs for _, kwargs in LOSSES],
    )
    return HypencoderDualEncoder(config).train()


def batch(first: int, queries: int) -> dict[str, torch.Tensor]:
    """Queries `first` to `first + queries` of the joint batch, with their documents."""
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(5, 40, (9, 6), generator=generator)[first : first + queries]
    documents = torch.randint(5, 40, (9, ITEMS, 8), generator=generator)[first : first + queries]
    labels = torch.randn(9, ITEMS, generator=generator)[first : first + queries]
    return {
        "query_input_ids": ids,
        "query_attention_mask": torch.ones_like(ids),
        "passage_input_ids": documents.flatten(0, 1),
        "passage_attention_mask": torch.ones_like(documents.flatten(0, 1)),
        "labels": labels,
    }


def process(rank: int, folder: Path) -> None:
    """What one of the processes does: a training step, then one that must be refused."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=PROCESSES
    )
    model = new_model()
    parallel = DistributedDataParallel(model, find_unused_parameters=True)
    output = parallel(**batch(rank * QUERIES, QUERIES))
    output.loss.backward()
    result = {
        "losses": output.losses,
        "gradients": {n: p.grad for n, p in model.named_parameters() if p.grad is not None},
    }
    try:
        model(**batch(rank * QUERIES, QUERIES + rank))
    except ModelError as error:
        result["refused"] = str(error)
    if rank == 0:  # the other process is not asked
        with torch.no_grad():
            result["evaluated"] = model.eval()(**batch(0, QUERIES)).losses
    torch.save(result, folder / f"{rank}.pt")
    dist.barrier()
    os._exit(0)  # the end of an interpreter with gloo's threads may wait for ever


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    try:
        for one in running:
            said, _ = one.communicate(timeout=180)
            assert one.returncode == 0, said
    finally:
        for one in running:
            one.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


@pytest.fixture(scope="module")
def joint():
    model = new_model()
    output = model(**batch(0, PROCESSES * QUERIES))
    output.loss.backward()
    return model, output


def test_the_loss_is_that_of_the_joint_batch(results, joint):
    _, output = joint
    assert list(output.losses) == ["margin_mse", "cross_entropy", "cross_entropy_2"]
    for name, wanted in output.losses.items():
        mean = sum(result["losses"][name] for result in results) / PROCESSES
        assert mean.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_the_gradients_are_those_of_the_joint_batch(results, joint):
    model, _ = joint
    wanted = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert len(wanted) > 20
    for name, gradient in wanted.items():
        size = gradient.abs().max()
        for result in results:  # DistributedDataParallel leaves the mean with every process
            error = (result["gradients"][name] - gradient).abs().max()
            assert error <= 1e-5 * max(1.0, size), name


def test_processes_with_other_numbers_of_documents_are_refused(results):
    for result in results:
        assert "there are 6, 8: set dataloader_drop_last" in result["refused"]


def test_in_evaluation_a_process_needs_no_other(results, joint):
    model, _ = joint
    with torch.no_grad():
        wanted = model.eval()(**batch(0, QUERIES)).losses
    model.train()
    for name, loss in wanted.items():
        assert results[0]["evaluated"][name].item() == pytest.approx(loss.item(), abs=1e-5)
    assert results[0]["evaluated"]["cross_entropy"] < results[0]["losses"]["cross_entropy"]


if __name__ == "__main__":
    process(int(sys.argv[1]), Path(sys.argv[2]))
