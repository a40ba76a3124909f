"""One class for each kind of task. A new kind is one class here, one preset in `configs/task`, one schema entry."""

from mammal.tasks.kinds.classification import ClassificationTask
from mammal.tasks.kinds.denoising import DenoisingTask
from mammal.tasks.kinds.generation import GenerationTask
from mammal.tasks.kinds.regression import RegressionTask

KINDS = {
    "classification": ClassificationTask,
    "regression": RegressionTask,
    "generation": GenerationTask,
    "denoising": DenoisingTask,
}

__all__ = ["KINDS", "ClassificationTask", "DenoisingTask", "GenerationTask", "RegressionTask"]
