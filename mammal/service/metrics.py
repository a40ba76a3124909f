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
        own = self.registry = CollectorRegistry()
        labels = ["verb", "outcome"]
        self.requests = Counter("mammal_requests", "Requests by verb and outcome", labels, registry=own)
        self.rows = Counter("mammal_rows", "Rows by verb, with and without an answer", labels, registry=own)
        about = "Seconds from request to answer"
        self.seconds = Histogram("mammal_request_seconds", about, ["verb"], buckets=_SECONDS, registry=own)
        about = "Rows that the model answered together"
        self.batch_rows = Histogram("mammal_batch_rows", about, buckets=_COUNTS, registry=own)
        self.batch_requests = Histogram("mammal_batch_requests", "Requests in a batch", buckets=_COUNTS, registry=own)
        self.model_seconds = Counter("mammal_model_seconds", "Seconds in which the model worked", registry=own)
        self.ready = Gauge("mammal_ready", "1 if the model is loaded and warm", registry=own)
        about = "Requests that are accepted and not answered"
        Gauge("mammal_requests_waiting", about, registry=own).set_function(waiting)

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
