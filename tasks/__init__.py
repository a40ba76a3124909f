"""Tasks: rows -> prompts -> batches -> losses, metrics, predictions.

Public names are loaded when first used, so that importing this package brings in neither torch nor RDKit.
"""

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

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
