"""A share of the shards of a job, so that several processes or machines can answer one file at the same time.

    mammal predict … output=scores.csv part=3/8

Part i of n answers the shards i, i + n, i + 2n, … (counted from 1). All parts write to the same folder of shards. A
shard's answers depend on the input and the model only, so it makes no difference which part computes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from mammal.errors import ConfigError

_WRITTEN = re.compile(r"(\d+)\s*/\s*(\d+)")
_HINT = "part=3/8 answers the third of eight shares; parts are counted from 1"


@dataclass(frozen=True)
class Part:
    """A share of the shards of a job.

    Attributes:
        number: number of the share, counted from 1.
        of: number of shares.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str | Part | None) -> Self | Part | None:
        """Returns the share that a user names. None: the job is not divided.

        Args:
            text: the share, such as `"3/8"`.

        Raises:
            ConfigError: the text is no such share.
        """
        if text is None or isinstance(text, Part):
            return text
        found = _WRITTEN.fullmatch(str(text).strip())
        if found is None:
            raise ConfigError(f"part must be i/n, not {text!r}", hint=_HINT)
        number, of = int(found[1]), int(found[2])
        if not 1 <= number <= of:
            raise ConfigError(f"there is no part {number} of {of}", hint=_HINT)
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def owns(self, shard: int) -> bool:
        """Whether a shard belongs to this share.

        Args:
            shard: number of the shard, counted from 0.
        """
        return shard % self.of == self.number - 1

    def rows(self, total: int, shard_rows: int) -> int:
        """Returns the number of rows of this share.

        Args:
            total: rows of the input.
            shard_rows: rows of a shard.
        """
        full, rest = divmod(total, shard_rows)
        owned = (full - self.number + self.of) // self.of
        return owned * shard_rows + (rest if rest and self.owns(full) else 0)
