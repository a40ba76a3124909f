"""One class for each kind of task. `mammal.tasks.declaration.schema.KINDS` has the family of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mammal.tasks.kinds.classification import ClassificationTask
from mammal.tasks.kinds.denoising import DenoisingTask
from mammal.tasks.kinds.features import FeaturesTask
from mammal.tasks.kinds.generation import GenerationTask
from mammal.tasks.kinds.regression import RegressionTask
from mammal.tasks.kinds.token_classification import TokenClassificationTask

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer

KINDS: dict[str, Callable[[TaskConfig, Tokenizer], Task]] = {
    "classification": ClassificationTask,
    "regression": RegressionTask,
    "generation": GenerationTask,
    "denoising": DenoisingTask,
    "features": FeaturesTask,
    "token_classification": TokenClassificationTask,
}

__all__ = ["KINDS", "ClassificationTask", "DenoisingTask", "FeaturesTask", "GenerationTask", "RegressionTask"]
__all__ += ["TokenClassificationTask"]
