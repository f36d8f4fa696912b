"""Vectors at any size with the statistics of real ones, and q-nets that are as nearly linear.

Real encoded documents are the anchors: of the bundled model over the documentation of the installed
packages, or of any model over any collection. Made vectors stray from them, as `made.py` has it. A
Hypencoder's q-nets are its own; for a bi-encoder, q-nets are fitted to a teacher that is not quite
linear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.scale.made import Make, along_neighbours, isotropic
from hypserini.encode import DocumentEncoder, QueryEncoder, SavedQNets, save_q_nets
from hypserini.formats.collection import read_collection
from hypserini.formats.topics import load_topics
from hypserini.modeling import DualEncoder, QNet, QNetConfig, load_model

ANCHORS = "anchors.npy"
Q_NETS = "q-nets"
AT_ONCE = 4096
ENCODED_AT_ONCE = 1024
SUBSPACE = 64
"""Directions that the teacher bends in: those in which the anchors differ most."""


class ScaleData:
    """Anchors and q-nets, kept in a folder; handed to another process by its path alone.

    Attributes:
        folder: Where they lie.
        isotropic: Made vectors stray in all dimensions alike (`made.py`).
        anchors: `[n, dim] float32`, real vectors, mapped from the disk.
        q_nets: One q-net a topic.
    """

    def __init__(self, folder: Path, isotropic: bool = False) -> None:
        self.folder = folder
        self.isotropic = isotropic
        self.anchors: np.ndarray = np.load(folder / ANCHORS, mmap_mode="r")

    @cached_property
    def q_nets(self) -> list[QNet]:
        """One q-net a topic."""
        saved = SavedQNets(self.folder / Q_NETS)
        together = saved.load(saved.qids)
        return [together[i] for i in range(len(together))]

    @cached_property
    def _make(self) -> Make:
        return isotropic(self.anchors) if self.isotropic else along_neighbours(self.anchors)

    def __reduce__(self) -> tuple[type[ScaleData], tuple[Path, bool]]:
        return ScaleData, (self.folder, self.isotropic)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The first `size` vectors, `[up to 4096, dim]` at a time: the anchors, then made ones.

        The same size begins with the same vectors.
        """
        count = len(self.anchors)
        for start in range(0, min(size, count), AT_ONCE):
            yield self.anchors[start : min(start + AT_ONCE, size)]
        for block, start in enumerate(range(count, size, AT_ONCE)):
            yield self._make(np.random.default_rng([1, block]), AT_ONCE)[: size - start]


def scale_data(
    cache: Path,
    model: str,
    collection: Path,
    topics: Path,
    count: int,
    blocks: int,
    dtype: str = "float32",
    isotropic: bool = False,
) -> ScaleData:
    """Encode, fit and keep; what was done before is read from `cache`, and goes on from there."""
    key = hashlib.sha256(f"{model} {collection} {topics} {count} {blocks}".encode()).hexdigest()
    folder = cache / f"data-{key[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / ANCHORS).exists() and (folder / Q_NETS).exists():
        return ScaleData(folder, isotropic)
    loaded = load_model(model, device="cpu", dtype=dtype)
    if not (folder / ANCHORS).exists():
        np.save(folder / ANCHORS, _encoded(folder, loaded, collection))
    texts = load_topics(topics).texts[:count]
    encoded = QueryEncoder(loaded).encode(texts)
    if not encoded.config.vector_sizes:
        anchors = np.load(folder / ANCHORS)
        vectors = encoded.matrices[0].squeeze(-1).float()
        encoded = QNet.cat(
            [
                _fitted(folder / f"q-net-{number}.pt", vector, anchors, blocks, number)
                for number, vector in enumerate(tqdm(vectors, desc="fitting q-nets"))
            ]
        )
    save_q_nets(folder / Q_NETS, [str(i) for i in range(len(texts))], [encoded], {"model": model})
    return ScaleData(folder, isotropic)


def _encoded(folder: Path, model: DualEncoder, collection: Path) -> np.ndarray:
    encoder = DocumentEncoder(model, batch_size=32)
    texts = [document.contents for document in read_collection(collection)]
    for start in tqdm(range(0, len(texts), ENCODED_AT_ONCE), desc="encoding", unit_scale=1024):
        file = folder / f"anchors-{start:09}.npy"
        if not file.exists():
            part = encoder.encode(texts[start : start + ENCODED_AT_ONCE])
            np.save(file.with_suffix(".part.npy"), part)
            file.with_suffix(".part.npy").rename(file)
    anchors = np.concatenate([np.load(file) for file in sorted(folder.glob("anchors-*[0-9].npy"))])
    # About as long as the states of a BERT, which the paper's q-nets are made for.
    return anchors * np.float32(anchors.shape[1] ** 0.5 / np.linalg.norm(anchors, axis=1).mean())


def _fitted(file: Path, query: torch.Tensor, anchors: np.ndarray, blocks: int, seed: int) -> QNet:
    """The q-net of `fit`, kept in a file."""
    if file.exists():
        width = anchors.shape[1]
        config = QNetConfig(vector_dimensions=(*[width] * (blocks + 1), 1))
        return QNet.from_tensors(config, torch.load(file, weights_only=True))
    fitted = fit(query, torch.from_numpy(anchors), blocks, seed)
    torch.save(fitted.tensors(), file)
    return fitted


def fit(
    query: torch.Tensor, documents: torch.Tensor, blocks: int, seed: int, steps: int = 200
) -> QNet:
    """A q-net fitted to the query's inner products, bent a little.

    The teacher adds to the inner product a random network of one hidden layer over the directions
    in which the anchors differ most, of a sixth of the inner products' spread: with that, fitted
    q-nets are about as linear as trained ones were measured to be (correlation .98).

    Args:
        query: `[dim]`.
        documents: `[n, dim]`, on the device where it is fitted.
        blocks: Hidden blocks.
        seed: Of the first weights and of what bends it.
        steps: Of the fitting.
    """
    width = documents.shape[1]
    config = QNetConfig(vector_dimensions=(*[width] * (blocks + 1), 1))
    generator = torch.Generator().manual_seed(seed)
    target = _teacher(documents, query, generator)
    matrices = [
        torch.randn(1, outputs, inputs, generator=generator).mul_((2 / inputs) ** 0.5).to(documents)
        for inputs, outputs in config.matrix_shapes
    ]
    weights = [matrix.requires_grad_() for matrix in matrices]
    vectors = [
        torch.zeros(1, size, device=documents.device, requires_grad=True)
        for size in config.vector_sizes
    ]
    optimizer = torch.optim.Adam([*weights, *vectors], lr=5e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)
    for _ in range(steps):
        rows = torch.randint(len(documents), (512,), generator=generator).to(documents.device)
        q_net = QNet(config, [weight.transpose(1, 2) for weight in weights], vectors)
        scores = q_net.forward(documents[rows], training=False)[0]
        loss = (scores - target[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return QNet(config, [weight.transpose(1, 2) for weight in weights], vectors).detach()


def _teacher(
    documents: torch.Tensor, query: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    straight = documents @ query
    centred = documents - documents.mean(0)
    _, _, directions = torch.pca_lowrank(centred[:: max(1, len(centred) // 4096)], SUBSPACE)
    seen = centred @ directions
    seen = seen / seen.std(0)
    first = torch.randn(SUBSPACE, 32, generator=generator).to(documents)
    hidden = torch.relu(seen @ first / SUBSPACE**0.5)
    bent = hidden @ torch.randn(32, generator=generator).to(documents)
    return _standard(straight) + _standard(bent) / 6


def _standard(values: torch.Tensor) -> torch.Tensor:
    return (values - values.mean()) / values.std()


def linearity(q_net: QNet, anchors: np.ndarray) -> float:
    """The correlation of the scores with those of the mean gradient, over the anchors."""
    documents = torch.from_numpy(np.array(anchors[:: max(1, len(anchors) // 8192)]))
    scores = torch.cat([q_net.score(part)[0] for part in documents.split(1024)])
    direction = q_net.tangent(documents[:: max(1, len(documents) // 256)])[1][0]
    return float(np.corrcoef(scores.numpy(), (documents @ direction).numpy())[0, 1])
