"""What each of some processes gets of a cluster's nodes."""

from __future__ import annotations

from typing import Any

import pytest

from hypserini.cluster.connection import ClusterOptions, Share, share_of
from hypserini.errors import ClusterError

Node = tuple[float, float]


class Ray:
    """Knows nodes, of so many processors and GPUs."""

    def __init__(self, *nodes: Node) -> None:
        self._nodes = nodes

    def nodes(self) -> list[dict[str, Any]]:
        alive = [{"Alive": True, "Resources": {"CPU": c, "GPU": g}} for c, g in self._nodes]
        return [*alive, {"Alive": False, "Resources": {"CPU": 99.0}}]


@pytest.mark.parametrize(
    ("nodes", "together", "share"),
    [
        ([(8, 0), (8, 0)], 1, Share(8, 0)),
        ([(8, 0), (8, 0)], 3, Share(4, 0)),
        ([(3, 0), (3, 0)], 3, Share(1, 0)),
        ([(2, 0)] * 3, 8, Share(0.666, 0)),
        ([(2, 0)] * 3, 12, Share(0.5, 0)),
        ([(5, 0), (3, 0)], 2, Share(3, 0)),
        # A part of a GPU is of one GPU, and processors are of the node that has it.
        ([(8, 2)], 2, Share(4, 1)),
        ([(8, 2)], 3, Share(2, 0.5)),
        ([(8, 2)], 6, Share(1, 0.3333)),
        ([(16, 0), (4, 1)], 2, Share(2, 0.5)),
    ],
)
def test_all_have_room(nodes: list[Node], together: int, share: Share) -> None:
    assert share_of(Ray(*nodes), ClusterOptions(), together) == share


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ClusterOptions(cpus=3, gpus=0), "room for 2 processes of the 3 that are needed at once"),
        (ClusterOptions(gpus=1), "room for 1 processes of the 3"),
        (ClusterOptions(cpus=5), "--cluster-cpus 5 is more than any node of the cluster has"),
        (ClusterOptions(gpus=2), "--cluster-gpus 2 is more than any node"),
        (ClusterOptions(cpus=4, gpus=1), "room for 0 processes"),
    ],
)
def test_what_has_no_room_is_said(options: ClusterOptions, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        share_of(Ray((4, 0), (3, 1)), options, 3)


def test_of_a_build_one_is_enough() -> None:
    assert share_of(Ray((4, 0)), ClusterOptions(cpus=4), 9, least=1) == Share(4, 0)
