"""All errors that a user can cause. They are `ValueError`s, and each has the exit code of the command line."""

from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import MammalError, PromptError, TokenizerError, UnknownTokenError, did_you_mean


class ConfigError(MammalError):
    """A command line, configuration file or option is wrong."""


class BundleError(MammalError):
    """A model folder or file is missing or damaged, or its parts do not belong together."""

    exit_code = 1


class JobError(MammalError):
    """A batch job can't start or continue."""

    exit_code = 1


class TrainingError(MammalError):
    """Training can't continue: the loss is not a number, there are no rows, or a checkpoint is of another run."""

    exit_code = 1


__all__ = [
    "BundleError",
    "ConfigError",
    "DataError",
    "JobError",
    "MammalError",
    "PromptError",
    "TaskError",
    "TokenizerError",
    "TrainingError",
    "UnknownTokenError",
    "did_you_mean",
]
