"""Free vectors: for how many documents can every pair of them be some query's top two?

The experiment behind the LIMIT data set (Weller et al., arXiv 2508.21038, section 4): documents'
vectors and queries are optimised directly, with no text and no encoder between, so that what fails
here no encoder of these dimensions is likely to learn. (From 4 dimensions on there are vectors for
any number of documents, on the moment curve, with margins that vanish; optimising does not find
them.)
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from hypserini.modeling import QNet, QNetConfig

HIDDEN = 16
"""Width of the hidden blocks."""

SIZES = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48)
"""Numbers of documents that are tried."""


def config_of(dim: int, blocks: int) -> QNetConfig:
    """The q-net over vectors of `dim`; without blocks it is the dot product."""
    widths = (dim, *[HIDDEN] * blocks, 1)
    return QNetConfig(widths, activation_type="gelu", do_layer_norm=False, do_residual=False)


def largest(dim: int, blocks: int, *, steps: int, restarts: int, most: int = SIZES[-1]) -> int:
    """The largest of `SIZES` up to `most` whose pairs are all found, none left out before it; 0."""
    found = 0
    for size in (size for size in SIZES if size <= most):
        if not any(solves(size, dim, blocks, steps, seed) for seed in range(restarts)):
            break
        found = size
    return found


def solves(size: int, dim: int, blocks: int, steps: int, seed: int) -> bool:
    """Whether optimising finds vectors and q-nets that rank every pair first for its query.

    Args:
        size: documents; there is a query for each pair of them.
        dim: of the documents' vectors.
        blocks: hidden blocks of each query's q-net.
        steps: of Adam over all queries at once, at most.
        seed: of the first values.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.tensor(list(itertools.combinations(range(size), 2)))
    config, queries = config_of(dim, blocks), len(pairs)

    def new(*shape: int, std: float = 1.0) -> Tensor:
        return (std * torch.randn(*shape, generator=generator)).requires_grad_()

    documents = new(size, dim)
    matrices = [new(queries, i, o, std=i**-0.5) for i, o in config.matrix_shapes]
    vectors = [new(queries, width, std=0.5) for width in config.vector_sizes]
    wanted = torch.zeros(queries, size).scatter_(1, pairs, 1.0).bool()
    optimizer = torch.optim.Adam([documents, *matrices, *vectors], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        scores = QNet(config, matrices, vectors)(documents)
        worst = scores.masked_fill(~wanted, torch.inf).amin(1)
        if step % 20 == 0 and bool((worst > scores.masked_fill(wanted, -torch.inf).amax(1)).all()):
            return True
        # Each of the two against all that are not wanted.
        others = scores.masked_fill(wanted, -torch.inf).logsumexp(1, keepdim=True)
        loss = torch.nn.functional.softplus(others - scores)[wanted].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return False
