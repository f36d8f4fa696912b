"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests by endpoint and status, their seconds, and the length of the queues."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ["endpoint", "status"]
        self._requests = Counter(
            "hypserini_requests", "Requests answered", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "hypserini_request_seconds",
            "Seconds to the answer",
            labels[:1],
            registry=self._registry,
        )
        self._waiting = Gauge(
            "hypserini_waiting", "Searches in the queue", ["index"], registry=self._registry
        )

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request; `endpoint` is one of a few names, never what a client chose."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def text(self, waiting: Iterable[tuple[str, int]]) -> bytes:
        """All of it in Prometheus' format, given how many searches wait for each index."""
        for index, count in waiting:
            self._waiting.labels(index).set(count)
        return generate_latest(self._registry)
