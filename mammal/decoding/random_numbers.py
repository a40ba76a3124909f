"""Random numbers that belong to a sequence and don't depend on the batch in which it is sampled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Draw:
    """Identifies the random numbers of one sequence.

    Equal objects give equal numbers; objects that differ in any attribute give independent numbers.

    Attributes:
        seed: random seed of the request.
        row: identifies the row within the request.
        copy: number of the sequence among those of the row, from 0.
        attempt: how often the sequence was sampled before.
    """

    seed: int
    row: object
    copy: int = 0
    attempt: int = 0

    def again(self) -> Draw:
        """The next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def uniforms(self, count: int) -> np.ndarray:
        """Uniform random numbers in [0, 1), float64 [count]."""
        return self._generator().random(count)

    def chance(self) -> float:
        """A uniform random number in [0, 1), independent of `uniforms`."""
        return float(self._generator("kept").random())

    def _generator(self, purpose: str = "") -> np.random.Generator:
        name = f"{self.seed}/{self.copy}/{self.row}" + (f"/{self.attempt}" if self.attempt else "") + purpose
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
