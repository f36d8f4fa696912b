"""Each pooling against what it is by hand, over texts of different lengths."""

import pytest
import torch

from hypserini.errors import ModelError
from hypserini.modeling.pooling import POOLINGS, check_pooling, pool

STATES = torch.arange(24, dtype=torch.float32).reshape(2, 4, 3) - 9
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
FIRST, SECOND = STATES[0], STATES[1, :2]
WANTED = {
    "cls": [FIRST[0], SECOND[0]],
    "max": [FIRST.max(0).values, SECOND.max(0).values],
    "mean": [FIRST.mean(0), SECOND.mean(0)],
    "mean_sqrt_len": [FIRST.sum(0) / 2, SECOND.sum(0) / 2**0.5],
    "weightedmean": [
        (FIRST[0] + 2 * FIRST[1] + 3 * FIRST[2] + 4 * FIRST[3]) / 10,
        (SECOND[0] + 2 * SECOND[1]) / 3,
    ],
    "lasttoken": [FIRST[3], SECOND[1]],
    "mean_with_pads": [FIRST.mean(0), STATES[1].sum(0) / 2],
}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_pooling(pooling):
    assert torch.allclose(pool(STATES, MASK, pooling), torch.stack(WANTED[pooling]))


def test_several_are_concatenated_in_the_order_asked_for():
    wanted = torch.cat([torch.stack(WANTED[name]) for name in ("max", "cls", "mean")], dim=1)
    assert torch.allclose(pool(STATES, MASK, "max+cls+mean"), wanted)


def test_names_of_other_tools_are_understood():
    assert check_pooling("last") == check_pooling("eos") == "lasttoken"
    assert check_pooling("mean_sqrt_len_tokens+cls") == "mean_sqrt_len+cls"
    with pytest.raises(ModelError, match=r"'median'.*weightedmean"):
        check_pooling("cls+median")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("pooling", ["mean", "mean_sqrt_len", "weightedmean", "mean_with_pads"])
def test_long_texts_in_narrow_formats(pooling, dtype):
    generator = torch.Generator().manual_seed(0)
    states = (1 + torch.randn(2, 700, 8, generator=generator)).to(dtype)
    mask = (torch.arange(700) < torch.tensor([[700], [400]])).long()
    found = pool(states, mask, pooling)
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.double(), pool(states.double(), mask, pooling), rtol=0.01, atol=0.01
    )
