"""Figures of the service in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one service.

    Args:
        waiting: returns the number of requests that are accepted and not answered yet.
    """

    def __init__(self, waiting: Callable[[], int]):
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter("mammal_requests", "Requests by verb and outcome", ["verb", "outcome"], **own)
        self.rows = Counter("mammal_rows", "Rows by verb, with and without an answer", ["verb", "outcome"], **own)
        self.seconds = Histogram(
            "mammal_request_seconds", "Seconds from request to answer", ["verb"], buckets=_SECONDS, **own
        )
        self.batch_rows = Histogram(
            "mammal_batch_rows", "Rows that the model answered together", buckets=_COUNTS, **own
        )
        self.batch_requests = Histogram("mammal_batch_requests", "Requests in a batch", buckets=_COUNTS, **own)
        self.model_seconds = Counter("mammal_model_seconds", "Seconds in which the model worked", **own)
        self.ready = Gauge("mammal_ready", "1 if the model is loaded and warm", **own)
        Gauge("mammal_requests_waiting", "Requests that are accepted and not answered", **own).set_function(waiting)

    def batch(self, requests: int, rows: int, seconds: float) -> None:
        """Counts a batch.

        Args:
            requests: number of its requests.
            rows: number of its rows.
            seconds: time that it took.
        """
        self.batch_requests.observe(requests)
        self.batch_rows.observe(rows)
        self.model_seconds.inc(seconds)

    def text(self) -> bytes:
        """Returns all figures as text."""
        return generate_latest(self.registry)
