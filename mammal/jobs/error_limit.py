"""The limit of rows without an answer at which a job ends early."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Self

from mammal.errors import ConfigError, JobError
from mammal.jobs.store import ShardCounts

_HINT = "a number of rows, such as 100, or a share of them below 1, such as 0.1"


class TooManyErrorsError(JobError):
    """A job ended early, because more rows have no answer than `max_errors` allows."""

    exit_code = 4


@dataclass(frozen=True)
class ErrorLimit:
    """Largest number of rows without an answer, or their largest share among the rows answered so far.

    Attributes:
        value: a number of rows, or a share from 0 to 1 (exclusive).
        is_share: whether it is a share.
    """

    value: float
    is_share: bool

    @classmethod
    def parse(cls, value: float | None) -> Self | None:
        """Returns the limit that a user sets. None: there is none.

        Args:
            value: a whole number is a number of rows, a number between 0 and 1 is a share.

        Raises:
            ConfigError: the value is neither.
        """
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
            raise ConfigError(f"max_errors can't be {value!r}", hint=_HINT)
        if 0 < value < 1:
            return cls(value, True)
        if value != int(value):
            raise ConfigError(f"max_errors can't be {value!r}", hint=_HINT)
        return cls(int(value), False)

    def check(self, so_far: ShardCounts, where: str) -> None:
        """Compares the limit with the shards that are finished.

        Args:
            so_far: counts of the finished shards.
            where: the output, for the error.

        Raises:
            TooManyErrorsError: more rows have no answer.
        """
        allowed = self.value * so_far.rows if self.is_share else self.value
        if so_far.bad <= allowed:
            return
        limit = f"{self.value:g} of the rows" if self.is_share else f"{self.value:,}"
        raise TooManyErrorsError(
            f"{so_far.bad:,} of {so_far.rows:,} rows have no answer, and max_errors is {limit}",
            where=where,
            hint="finished shards are kept, with the reasons in their errors files; correct the input, or run the "
            "same command with another max_errors, which continues",
        )
