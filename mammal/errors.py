"""Every error a user can cause, in one place. All are `ValueError`s and carry the command line's exit code."""

from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import MammalError, PromptError, TokenizerError, UnknownTokenError, did_you_mean


class ConfigError(MammalError):
    """A command line, config file or option is wrong."""


class BundleError(MammalError):
    """A checkpoint folder or file is missing, corrupt, or does not belong together."""

    exit_code = 1


class JobError(MammalError):
    """A batch job can't start, or can't go on, with what it was given."""

    exit_code = 1


class TrainingError(MammalError):
    """Training can't go on: a loss that is not a number, no rows, a checkpoint of another run."""

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
