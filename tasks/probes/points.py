"""A compact form of the rows that probes store: half precision, and of sparse features only what a row has.

Most entries of a fingerprint or of the description of a variant are 0 in a row. Their standardised value is that of an
empty fingerprint, so only the others are stored, with their positions. Training rows are rounded before a probe is
fitted (`rounded`), so the stored rows are exactly those that the probe was fitted on.

Shapes: P stored points, F entries of a vector, S of them in sparse blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SPARSE = ("morgan", "variant")
"""Features whose entries are mostly 0."""


@dataclass(frozen=True)
class CompactPoints:
    """How vectors are stored.

    Attributes:
        empty_F: the standardised vector of zeros, float32.
        sparse_F: whether an entry belongs to a sparse block, bool.
    """

    empty_F: np.ndarray
    sparse_F: np.ndarray

    def rounded(self, z_NF: np.ndarray) -> np.ndarray:
        """Returns vectors as they are read after they were stored, float32 [N, F].

        Args:
            z_NF: standardised vectors, float32.
        """
        half_NF = z_NF.astype(np.float16).astype(np.float32)
        return np.where(self._absent(z_NF), self.empty_F, half_NF)

    def bytes_of_row(self, z_NF: np.ndarray) -> float:
        """Returns the mean stored size of a vector in bytes.

        Args:
            z_NF: standardised vectors, float32.
        """
        dense = int((~self.sparse_F).sum())
        present = int(self.sparse_F.sum()) - float(self._absent(z_NF).sum(axis=1).mean()) if len(z_NF) else 0.0
        return 2 * dense + 4 * present + 4

    def arrays(self, z_PF: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the stored arrays of vectors by name.

        Args:
            z_PF: what `rounded` returned, float32.
        """
        present_PF = self.sparse_F & ~self._absent(z_PF)
        return {
            "points.dense": z_PF[:, ~self.sparse_F].astype(np.float16),
            "points.present": np.nonzero(present_PF)[1].astype(np.uint16),
            "points.values": z_PF[present_PF].astype(np.float16),
            "points.counts": present_PF.sum(axis=1).astype(np.int32),
        }

    def points(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the vectors that `arrays` stored, float32 [P, F].

        Args:
            arrays: the arrays by name.
        """
        dense = arrays["points.dense"]
        z_PF = np.tile(self.empty_F, (len(dense), 1))
        z_PF[:, ~self.sparse_F] = dense
        rows = np.repeat(np.arange(len(dense)), arrays["points.counts"])
        z_PF[rows, arrays["points.present"].astype(np.int64)] = arrays["points.values"]
        return z_PF

    def _absent(self, z_NF: np.ndarray) -> np.ndarray:
        return self.sparse_F & (z_NF == self.empty_F)
