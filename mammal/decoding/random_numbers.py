"""Random numbers that belong to a sequence, wherever and beside whatever it is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Draw:
    """Names the random numbers of one sequence: equal names, equal numbers; any difference, independent ones.

    Attributes:
        seed: of the request.
        row: names the row within the request.
        copy: which of the row's sequences, from 0.
        attempt: how often it was drawn before.
    """

    seed: int
    row: object
    copy: int = 0
    attempt: int = 0

    def again(self) -> Draw:
        """The next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def uniforms(self, count: int) -> np.ndarray:
        """float64 [count] of [0, 1)."""
        return self._generator().random(count)

    def chance(self) -> float:
        """One more number of [0, 1), not among `uniforms`."""
        return float(self._generator("kept").random())

    def _generator(self, purpose: str = "") -> np.random.Generator:
        name = f"{self.seed}/{self.copy}/{self.row}" + (f"/{self.attempt}" if self.attempt else "") + purpose
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
