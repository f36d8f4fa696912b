"""What is sent to the shards of a cluster."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from q_nets import random_q_nets

from hypserini.modeling.q_net_config import QNetConfig
from hypserini.search.scorer import QueryBatch
from hypserini.search.shard import SentQuery

CONFIG = QNetConfig((8, 8, 1))


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, add_query_vector=True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_queries_arrive_as_they_were_sent(config: QNetConfig, dtype: torch.dtype) -> None:
    q_net = random_q_nets(config, 2).to(dtype=dtype)
    sent = pickle.loads(pickle.dumps(SentQuery.of(QueryBatch(q_net, ["1", "2"], ["one", None]))))
    arrived = sent.batch()
    assert (arrived.qids, arrived.texts) == (["1", "2"], ["one", None])
    documents = torch.randn(5, 8)
    wanted = q_net.to(dtype=torch.float32).score(documents)
    torch.testing.assert_close(arrived.q_net.score(documents), wanted, rtol=0, atol=0)
