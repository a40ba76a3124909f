"""Metrics by name, and the pairs of truth and answer from which they are computed.

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Answers": "mammal.tasks.metrics.answers",
    "METRICS": "mammal.tasks.metrics.registry",
    "Metric": "mammal.tasks.metrics.registry",
    "check_metrics": "mammal.tasks.metrics.registry",
    "compute_metrics": "mammal.tasks.metrics.registry",
    "intervals": "mammal.tasks.metrics.registry",
    "metric_named": "mammal.tasks.metrics.registry",
}

__all__ = ["METRICS", "Answers", "Metric", "check_metrics", "compute_metrics", "intervals", "metric_named"]

if TYPE_CHECKING:
    from mammal.tasks.metrics.answers import Answers
    from mammal.tasks.metrics.registry import METRICS, Metric, check_metrics, compute_metrics, intervals, metric_named

__getattr__, __dir__ = lazy_names(__name__, _HOMES, renamed={"evaluate": "compute_metrics"})
