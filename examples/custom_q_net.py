"""A q-net of one's own: a cosine with the query's vector, scaled.

python examples/custom_q_net.py indexes/mine
"""

import sys

import torch
from torch import Tensor
from torch.nn import functional as F

from hypserini import LuceneHypencoderSearcher, QNet, register_q_net
from hypserini.modeling import QNetConfig


class ScaledCosine(QNet):
    """Scores `[q, n]` by the cosine with a direction, `[q, dim, 1]`; any torch code will do."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Score documents `[n, dim]`, or `[q, n, dim]`."""
        return (
            20 * torch.matmul(F.normalize(x, dim=-1), F.normalize(self.matrices[0], dim=1))[..., 0]
        )


register_q_net("scaled_cosine", ScaledCosine)

with LuceneHypencoderSearcher(*sys.argv[1:]) as searcher:
    dim = searcher.index.dimension
    config = QNetConfig(vector_dimensions=(dim, 1), q_net_type="scaled_cosine")
    like_this = searcher.index.vectors([next(searcher.index.docids())])
    q_net = ScaledCosine(config, [torch.from_numpy(like_this)[..., None]], [])
    for hit in searcher.search(q_net, k=5):
        print(hit.docid, f"{hit.score:.4f}")
