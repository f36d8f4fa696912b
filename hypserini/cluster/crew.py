"""Objects in processes of their own on the cluster, which are called all at once.

Of each there may be several, replicas, which are called in turn; what one does not answer, because
its process died or is silent, another does meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from hypserini.cluster.connection import Share
from hypserini.cluster.tasks import result_of
from hypserini.errors import ClusterError

AGAIN = 3
"""How often a call is repeated when the process that it runs in dies."""

AT_ONCE = 4
"""Calls that one object answers side by side, beside those for a sign of life."""

SIGNS = "signs"
"""The threads that answer these, which no call takes."""


@dataclass(frozen=True, slots=True)
class Gone:
    """In place of an answer: why there is none.

    Attributes:
        reason: Why.
        died: Whether its process died, and was not only silent.
    """

    reason: str
    died: bool = False


Replica = tuple[int, int]
"""The number of an object, and that of one of its replicas."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that is under way.

    Attributes:
        reference: Of the answer; None where there was nobody to ask.
        replicas: Who was asked, and who can be asked instead.
    """

    reference: Any
    replicas: list[Replica]


class Held:
    """The actor: makes its object when it is first called, also after its process was replaced."""

    def __init__(self, maker: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._maker = maker
        self._arguments = arguments
        self._object: Any = None
        self._making = threading.Lock()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object."""
        with self._making:
            if self._object is None:
                self._object = self._maker(*self._arguments)
        return getattr(self._object, method)(*arguments)

    def is_there(self) -> bool:
        """Answer, as a sign of life."""
        return True


class Crew:
    """Some objects for each of some arguments, each in a process of its own on the cluster.

    A process that dies is started again, there or on another node, and the calls that it had not
    answered are repeated, by a replica if there is one: they must change nothing. Thread safe.

    Args:
        ray: The connected module.
        maker: Makes an object; of a module that the nodes have too.
        arguments: Those of each object.
        share: What each takes of its node.
        patience: Seconds without an answer and without a sign of life, after which one is gone.
        replicas: Objects for each of the arguments.
    """

    def __init__(
        self,
        ray: Any,
        maker: Callable[..., Any],
        arguments: Sequence[tuple[Any, ...]],
        share: Share,
        patience: float,
        replicas: int = 1,
    ) -> None:
        self._ray = ray
        self._patience = patience
        actor = ray.remote(concurrency_groups={SIGNS: 1})(Held).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=-1,
            max_task_retries=AGAIN,
            max_concurrency=AT_ONCE,
            scheduling_strategy="SPREAD",
        )
        self._actors = [
            [actor.remote(maker, given) for _ in range(replicas)] for given in arguments
        ]
        self._turns = count()
        self._signs: dict[Replica, Any] = {}
        """Of those that are gone: what will tell that they are back."""

    def __len__(self) -> int:
        return len(self._actors)

    def put(self, value: Any) -> Any:
        """Keep a value once for all calls that are given what this returns."""
        return self._ray.put(value)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of all objects; the answers in their order, `Gone` where there is none.

        Raises:
            HypseriniError: As one of them raised it.
        """
        turn = next(self._turns)
        asked = [
            self._ask(self._there(number, turn), method, arguments) for number in range(len(self))
        ]
        return [self._answer(one, method, arguments) for one in asked]

    def close(self) -> None:
        """End all processes."""
        for actor in chain.from_iterable(self._actors):
            self._ray.kill(actor)

    def _there(self, number: int, turn: int) -> list[Replica]:
        """The replicas of an object that are not gone, the one whose turn it is first."""
        replicas = len(self._actors[number])
        ordered = [(number, (turn + place) % replicas) for place in range(replicas)]
        return [replica for replica in ordered if not self._is_gone(replica)]

    def _ask(self, replicas: list[Replica], method: str, arguments: tuple[Any, ...]) -> Asked:
        """Call the first of some replicas; while there is another, its death is told at once."""
        if not replicas:
            return Asked(None, [])
        (number, place), *others = replicas
        call = self._actors[number][place].call
        if others:
            call = call.options(max_task_retries=0)
        return Asked(call.remote(method, *arguments), replicas)

    def _answer(self, asked: Asked, method: str, arguments: tuple[Any, ...]) -> Any:
        """What one of the replicas answers.

        Until Ray has noticed that a node is gone, it repeats calls there, and in vain: so the last
        that died is asked once more when it is back.
        """
        answer: Any = Gone("it is still away")
        once_more = True
        while asked.reference is not None:
            replica, *others = asked.replicas
            answer = self._wait(replica, asked.reference)
            if not isinstance(answer, Gone):
                break
            if not others and once_more and answer.died and self._comes_back(replica):
                others, once_more = [replica], False
            asked = self._ask(others, method, arguments)
        return answer

    def _is_gone(self, replica: Replica) -> bool:
        sign = self._signs.get(replica)
        if sign is not None and self._ray.wait([sign], timeout=0)[0]:
            self._signs.pop(replica, None)
            return False
        return sign is not None

    def _comes_back(self, replica: Replica) -> bool:
        """Whether one that died gives a sign of life before patience ends."""
        sign = self._signs.get(replica)
        if sign is None:
            return True
        if not self._ray.wait([sign], timeout=self._patience)[0]:
            return False
        self._signs.pop(replica, None)
        try:
            return bool(result_of(self._ray, sign))
        except ClusterError:
            return False

    def _sign(self, replica: Replica) -> Any:
        """Asked for until it comes, or the object is away for good."""
        number, place = replica
        return (
            self._actors[number][place]
            .is_there.options(max_task_retries=-1, concurrency_group=SIGNS)
            .remote()
        )

    def _wait(self, replica: Replica, reference: Any) -> Any:
        """Wait as long as the object works, and no longer than `patience` for one that does not."""
        while not self._ray.wait([reference], timeout=self._patience)[0]:
            sign = self._sign(replica)
            if not self._ray.wait([sign, reference], timeout=self._patience)[0]:
                self._ray.cancel(reference)
                self._signs[replica] = sign
                return Gone(f"no sign of life for {2 * self._patience:g} s")
        try:
            return result_of(self._ray, reference)
        except ClusterError as error:
            self._signs[replica] = self._sign(replica)
            return Gone(str(error), died=True)


def refuse_gone(answers: Sequence[Any], names: Sequence[str]) -> None:
    """Raise ClusterError where an answer is missing; names the first that is gone."""
    for answer, name in zip(answers, names, strict=True):
        if isinstance(answer, Gone):
            raise ClusterError(
                f"{name} does not answer ({answer.reason}): start its node again and repeat the"
                " search, or give --allow-partial to do without it."
            )
