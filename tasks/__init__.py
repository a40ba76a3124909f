"""Tasks: rows -> prompts -> batches -> losses, metrics, predictions.

Public names are loaded when first used, so that importing this package brings in neither torch nor RDKit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Batch": "mammal.tasks.batches.batch",
    "DataError": "mammal.tasks.errors",
    "Example": "mammal.tasks.batches.example",
    "ModelOutput": "mammal.tasks.batches.batch",
    "Prediction": "mammal.tasks.batches.prediction",
    "SplitData": "mammal.tasks.data",
    "Task": "mammal.tasks.task",
    "TaskConfig": "mammal.tasks.declaration.schema",
    "TaskError": "mammal.tasks.errors",
    "build_task": "mammal.tasks.kinds.build",
    "encode_rows": "mammal.tasks.batches.token_batches",
    "iter_tables": "mammal.tasks.tables.readers",
    "list_tasks": "mammal.tasks.declaration.registry",
    "load_data": "mammal.tasks.data",
    "load_dataset": "mammal.tasks.data",
    "load_task": "mammal.tasks.declaration.registry",
    "read_table": "mammal.tasks.tables.readers",
    "register_schema": "mammal.tasks.declaration.schema",
    "split_frame": "mammal.tasks.splits",
    "token_batches": "mammal.tasks.batches.token_batches",
}

__all__ = [
    "Batch",
    "DataError",
    "Example",
    "ModelOutput",
    "Prediction",
    "SplitData",
    "Task",
    "TaskConfig",
    "TaskError",
    "build_task",
    "encode_rows",
    "iter_tables",
    "list_tasks",
    "load_data",
    "load_dataset",
    "load_task",
    "read_table",
    "register_schema",
    "split_frame",
    "token_batches",
]

if TYPE_CHECKING:
    from mammal.tasks.batches.batch import Batch, ModelOutput
    from mammal.tasks.batches.example import Example
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.batches.token_batches import encode_rows, token_batches
    from mammal.tasks.data import SplitData, load_data, load_dataset
    from mammal.tasks.declaration.registry import list_tasks, load_task
    from mammal.tasks.declaration.schema import TaskConfig, register_schema
    from mammal.tasks.errors import DataError, TaskError
    from mammal.tasks.kinds.build import build_task
    from mammal.tasks.splits import split_frame
    from mammal.tasks.tables.readers import iter_tables, read_table
    from mammal.tasks.task import Task

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
