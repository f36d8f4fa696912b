"""Benchmarks of what few machines have, tried on a CPU: none should fail when there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import gpu


@pytest.mark.parametrize("format", ["fp32", "bf16"])
def test_searches_on_a_device(format: str, monkeypatch, capsys, tmp_path: Path) -> None:
    def anchors(count: int, dim: int, device: torch.device, cache: Path) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        few = torch.randn(count, 4, generator=generator)
        return gpu.as_long(torch.tanh(few @ torch.randn(4, dim, generator=generator)).to(device))

    monkeypatch.setattr(gpu, "real_anchors", anchors)
    small = ["--documents", "3000", "--anchors", "300", "--dim", "64", "--blocks", "1"]
    flags = ["--device", "cpu", "--queries", "3", "--no-encoding", "--format", format]
    gpu.main([*small, *flags, "--cache", str(tmp_path)])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    searches = [row for row in rows if row and row[0] in ("exhaustive", "tangent")]
    assert [row[:2] for row in searches] == [
        ["exhaustive", "1"],
        ["exhaustive", "3"],
        ["tangent", "1"],
        ["tangent", "3"],
    ]
    assert all(float(row[-1]) > 0.9 for row in searches)
    assert [int(row[3].replace(",", "")) for row in searches[:2]] == [3000, 3000]
