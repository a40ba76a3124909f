"""What can go wrong once a run has begun."""

from mammal.errors import MammalError


class TrainingError(MammalError):
    """Training can't go on: a loss that is not a number, no rows, a checkpoint of another run."""

    exit_code = 1
