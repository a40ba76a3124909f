"""Tasks: rows -> prompts -> batches -> losses, predictions, metrics.

Public names are loaded when first used, so that importing this package brings in neither torch nor RDKit.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Batch": "batch",
    "DataError": "errors",
    "Example": "example",
    "ModelOutput": "batch",
    "Prediction": "prediction",
    "SplitData": "data",
    "Task": "task",
    "TaskConfig": "schema",
    "TaskError": "errors",
    "build_task": "task",
    "encode_rows": "batching",
    "iter_tables": "readers",
    "list_tasks": "registry",
    "load_data": "data",
    "load_dataset": "data",
    "load_task": "registry",
    "read_table": "readers",
    "register_schema": "schema",
    "split_frame": "splits",
    "token_batches": "batching",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
