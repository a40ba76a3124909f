"""Errors in task declarations and in data."""

from mammal.tokenization.errors import MammalError


class TaskError(MammalError):
    """A task declaration is wrong: unknown key, kind, column, label, metric or unit."""


class DataError(MammalError):
    """A data file, or a row of it, can't be used."""

    exit_code = 1


def unfitted(name: str, what: str) -> TaskError:
    """Returns the error for a task that was not fitted.

    Args:
        name: name of the task.
        what: the part without a scale, such as a label.
    """
    hint = "load the task from a bundle, or call fit(train_rows)"
    return TaskError(f"the scale of {name}'s {what} is not known yet", hint=hint)
