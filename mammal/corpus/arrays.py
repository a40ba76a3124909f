"""Encoded rows as arrays on disk, which are read by memory map.

Each field of an `Example` that any row has becomes one array. Rows of different length are written one after the other,
with the places where they start. Vectors of computed features are stored in one byte per number, or one bit if they
hold only zeros and ones: their normal scores lie within ±2.5, and a step of 0.02 is far below the error of any model.
Shapes: N rows, T numbers of all rows, F entries of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammal.errors import DataError
from mammal.tasks.batches.example import Example, Target
from mammal.tokenization.encoding import Encoding

STEP = 0.02
MISSING = -128
"""Byte that stands for a missing number."""
_TARGET = "target."
_FIELDS = {
    "ids": np.int32,
    "values": np.float32,
    "has_value": np.bool_,
    "read": np.int32,
    "labels": np.int32,
    "label_values": np.float32,
    "label_bounds": np.int8,
    "label_weights": np.float32,
    "target.ids": np.int32,
    "target.read": np.int32,
    "target.labels": np.int32,
    "target.values": np.float32,
    "target.has_value": np.bool_,
    "target.label_values": np.float32,
    "target.bounds": np.int8,
    "target.weights": np.float32,
}
"""Fields of rows of different length, with their types on disk."""


def fields_of(example: Example) -> dict[str, np.ndarray]:
    """Returns the fields of a row that are not empty.

    Args:
        example: the encoded row.

    Raises:
        DataError: the row holds what arrays can't: external embeddings, several targets, or a target that feeds back.
    """
    if example.input.embeddings:
        raise DataError("prompts with computed features as input can't be packed")
    if len(example.targets) > 1 or any(target.feeds_back for target in example.targets):
        raise DataError("rows with several targets, or with chained numbers, can't be packed")
    found: dict[str, Any] = {
        "ids": example.input.ids_L,
        "read": example.read_R,
        "labels": example.labels_R,
        "label_values": example.label_values_R,
        "label_bounds": example.label_bounds_R,
        "label_weights": example.label_weights_R,
    }
    if example.input.has_value_L.any():
        found |= {"values": example.input.values_L, "has_value": example.input.has_value_L}
    for target in example.targets:
        found |= {
            "target.ids": target.ids_T,
            "target.read": None if _predicts_each_token(target) else target.read_R,
            "target.labels": None if _predicts_each_token(target) else target.labels_R,
            "target.values": target.values_T,
            "target.has_value": target.has_value_T,
            "target.label_values": target.label_values_R,
            "target.bounds": target.bounds_R,
            "target.weights": target.weights_R,
        }
    found |= {f"vector.{name}": vector for name, vector in (example.label_vectors or {}).items()}
    return {name: np.asarray(array) for name, array in found.items() if array is not None}


def _predicts_each_token(target: Target) -> bool:
    """Whether the labels are the tokens of the target themselves, as in generation; they need no space then."""
    steps = np.arange(len(target.ids_T))
    if target.labels_R is None:
        return False
    return np.array_equal(target.read_R, steps) and np.array_equal(target.labels_R, target.ids_T)


def pack_rows(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Joins the fields of rows.

    Args:
        rows: results of `fields_of`.

    Returns:
        For each field `NAME` the numbers of all rows, [T], and `NAME.starts`, int64 [N + 1]; a row without the field
        has no numbers. For vectors an array [N, F], or [N, F / 8] if they hold bits.
    """
    packed: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        if name.startswith("vector."):
            packed |= _packed_vectors(name, np.stack([row[name] for row in rows]))
            continue
        parts = [row.get(name, np.zeros(0, _FIELDS[name])) for row in rows]
        lengths_N = np.fromiter(map(len, parts), np.int64, len(parts))
        packed[name] = np.concatenate(parts).astype(_FIELDS[name])
        packed[f"{name}.starts"] = np.concatenate(([0], lengths_N.cumsum()))
    return packed


def _packed_vectors(name: str, vectors_NF: np.ndarray) -> dict[str, np.ndarray]:
    if np.isin(vectors_NF, (0.0, 1.0)).all():
        width = np.array([vectors_NF.shape[1]])
        return {f"{name}.bits": np.packbits(vectors_NF.astype(bool), axis=1), f"{name}.width": width}
    known_NF = np.isfinite(vectors_NF)
    if np.abs(vectors_NF[known_NF]).max(initial=0) <= 127 * STEP:
        steps_NF = np.where(known_NF, np.rint(np.nan_to_num(vectors_NF) / STEP), MISSING)
        return {f"{name}.bytes": steps_NF.astype(np.int8)}
    return {f"{name}.half": vectors_NF.astype(np.float16)}


class PackedRows(Sequence[Example]):
    """The encoded rows in the arrays of a folder. A row is read from disk when it is used.

    Args:
        folder: folder of `NAME.npy` files.
        rows: numbers of the rows of this view, int64 [N].
        count: number of rows of each view; vectors are stored once for all views.
    """

    def __init__(self, folder: Path, rows: np.ndarray, count: int):
        self.rows, self.rows_of_view = rows, count
        self.arrays = {file.name.removesuffix(".npy"): np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
        self.vectors = sorted({name.split(".")[1] for name in self.arrays if name.startswith("vector.")})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self._example(int(self.rows[index]), int(index))

    def lengths_N(self) -> np.ndarray:
        """Number of encoder and decoder tokens of each row, int64 [N]."""
        total_N = np.zeros(len(self.rows), dtype=np.int64)
        for name in ("ids", "target.ids"):
            if name in self.arrays:
                total_N += np.diff(self.arrays[f"{name}.starts"])[self.rows]
        return total_N

    def _example(self, row: int, row_id: int) -> Example:
        ids_L = self._of(row, "ids").astype(np.int32)
        values_L, has_value_L = self._of(row, "values"), self._of(row, "has_value")
        if not len(has_value_L):
            values_L, has_value_L = np.zeros(len(ids_L), np.float32), np.zeros(len(ids_L), bool)
        encoding = Encoding(ids_L, values_L, has_value_L, np.ones(len(ids_L), bool))
        target_ids_T = self._of(row, "target.ids")
        targets = () if not len(target_ids_T) else (self._target(row, target_ids_T),)
        return Example(
            row_id,
            encoding,
            read_R=self._whole(row, "read", np.int64),
            labels_R=self._whole(row, "labels", np.int64),
            label_values_R=self._whole(row, "label_values"),
            label_bounds_R=self._whole(row, "label_bounds"),
            label_weights_R=self._whole(row, "label_weights"),
            targets=targets,
            label_vectors={name: self._vector(row % self.rows_of_view, name) for name in self.vectors} or None,
        )

    def _target(self, row: int, ids_T: np.ndarray) -> Target:
        ids_T = ids_T.astype(np.int64)
        read_R = self._whole(row, "target.read", np.int64)
        return Target(
            ids_T,
            np.arange(len(ids_T)) if read_R is None else read_R,
            ids_T if read_R is None else self._whole(row, "target.labels", np.int64),
            self._whole(row, "target.values"),
            self._whole(row, "target.has_value"),
            self._whole(row, "target.label_values"),
            self._whole(row, "target.bounds"),
            self._whole(row, "target.weights"),
        )

    def _of(self, row: int, name: str) -> np.ndarray:
        if name not in self.arrays:
            return np.zeros(0, _FIELDS[name])
        starts = self.arrays[f"{name}.starts"]
        return np.asarray(self.arrays[name][starts[row] : starts[row + 1]])

    def _whole(self, row: int, name: str, kind: Any = None) -> np.ndarray | None:
        """A field, None if this row has no number of it."""
        found = self._of(row, name)
        return (found if kind is None else found.astype(kind)) if len(found) else None

    def _vector(self, row: int, name: str) -> np.ndarray:
        if (bits := self.arrays.get(f"vector.{name}.bits")) is not None:
            width = int(self.arrays[f"vector.{name}.width"][0])
            return np.unpackbits(bits[row], count=width).astype(np.float32)
        if (half := self.arrays.get(f"vector.{name}.half")) is not None:
            return half[row].astype(np.float32)
        steps_F = self.arrays[f"vector.{name}.bytes"][row]
        return np.where(steps_F == MISSING, np.nan, steps_F * np.float32(STEP)).astype(np.float32)
