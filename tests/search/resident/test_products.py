"""Products with vectors that are kept in narrow numbers, as exact as those of float32."""

from __future__ import annotations

import pytest
import torch

from hypserini.search.resident.products import in_parts, lengths_of, products


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])  # beyond what float16 holds, too
def test_a_direction_in_parts_is_the_direction(dtype: torch.dtype, size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    directions = size * torch.randn(5, 300, generator=generator, dtype=torch.float64)
    directions[3] = 0.0
    parts, scale = in_parts(directions.float(), dtype)
    assert parts.dtype is dtype
    again = parts.double().sum(dim=0) * scale.double()
    largest = directions.abs().amax(dim=1, keepdim=True)
    assert bool(((again - directions.float().double()).abs() <= 2**-24 * largest).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_products_and_those_by_angle(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(70_000, 24, generator=generator).to(dtype)
    directions = torch.randn(2, 24, generator=generator)
    lengths = lengths_of(vectors)
    torch.testing.assert_close(lengths, vectors.double().norm(dim=1).float())
    wanted = directions.double() @ vectors.double().T
    wanted[1] /= lengths.double()
    found = products(vectors, directions, torch.tensor([False, True]), lengths)
    torch.testing.assert_close(found, wanted.float(), rtol=1e-4, atol=1e-5)
