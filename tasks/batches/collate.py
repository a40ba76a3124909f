"""Collation of examples of one task to a batch. Decoder inputs are derived from labels only here.

Shapes: as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE, Batch
from mammal.tasks.batches.example import Example, Target

T = TypeVar("T")


def collate(
    examples: Sequence[Example],
    *,
    mode: str,
    wants: tuple[str, ...],
    pad_id: int,
    start_id: int,
    candidates_V: np.ndarray | None = None,
    task: str = "",
) -> Batch:
    """Pads examples of one task to a batch.

    Args:
        examples: encoded rows, at least one.
        mode: `"encoder"` or `"decoder"`, see `Batch.mode`.
        wants: outputs that the heads must give, see `Batch.wants`.
        pad_id: id of `<PAD>`.
        start_id: id of `<DECODER_START>`.
        candidates_V: sorted ids that the token head scores, int64 [V]; None: all.
        task: name of the task.
    """
    assert examples, "a batch needs a row"
    ids_BL, mask_BL = _pad_ids([e.input.ids_L for e in examples], pad_id)
    values_BL, has_value_BL = _pad_values([(e.input.values_L, e.input.has_value_L) for e in examples])
    parts = _decoder_parts(examples, pad_id, start_id) if mode == "decoder" else _encoder_parts(examples)
    return Batch(
        mode="decoder" if mode == "decoder" else "encoder",
        wants=wants,
        ids_BL=ids_BL,
        mask_BL=mask_BL,
        values_BL=values_BL,
        has_value_BL=has_value_BL,
        embeddings=tuple(
            (row, e.start, e.name, torch.tensor(e.vectors_XW, dtype=torch.float32))
            for row, example in enumerate(examples)
            for e in example.input.embeddings
        ),
        candidates_V=None if candidates_V is None else torch.as_tensor(candidates_V, dtype=torch.int64),
        label_vectors=_label_vectors(examples),
        given_BX=_given(examples),
        fingerprints_BX=_fingerprints(examples),
        row_ids=tuple(e.row_id for e in examples),
        task=task,
        **parts,
    )


def _given(examples: Sequence[Example]) -> Tensor | None:
    """Features that probes read, float32 [B, X]; None if a row has none."""
    given = [e.given_X for e in examples if e.given_X is not None]
    return torch.from_numpy(np.stack(given).astype(np.float32)) if len(given) == len(examples) else None


def _fingerprints(examples: Sequence[Example]) -> Tensor | None:
    """Packed fingerprints, uint8 [B, X], zeros for a row without one; None if no row has one."""
    given = [e.fingerprint_X for e in examples]
    first = next((bits_X for bits_X in given if bits_X is not None), None)
    if first is None:
        return None
    return torch.from_numpy(np.stack([np.zeros_like(first) if bits_X is None else bits_X for bits_X in given]))


def _label_vectors(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Expected vectors by name, float32 [B, F]; empty if a row has none."""
    labels = [e.label_vectors for e in examples if e.label_vectors is not None]
    if len(labels) < len(examples):
        return {}
    return {name: torch.from_numpy(np.stack([of_row[name] for of_row in labels])) for name in labels[0]}


def _encoder_parts(examples: Sequence[Example]) -> dict[str, Any]:
    reads = [e.read_R if e.read_R is not None else np.zeros(0, np.int64) for e in examples]
    labels = [e.labels_R for e in examples]
    values = [e.label_values_R for e in examples]
    return {
        "read_DR": _pad(reads, -1, torch.int64),
        "labels_DR": _pad_optional(labels, IGNORE, torch.int64),
        "label_values_DR": _pad_optional(values, float("nan"), torch.float32),
        "label_bounds_DR": _pad_sparse([e.label_bounds_R for e in examples], reads, 0, torch.int8),
        "label_weights_DR": _pad_sparse([e.label_weights_R for e in examples], reads, 1, torch.float32),
    }


def _decoder_parts(examples: Sequence[Example], pad_id: int, start_id: int) -> dict[str, Any]:
    """Decoder rows of all examples; a row without targets gets a decoder row with only `<DECODER_START>`."""
    start = Target(np.array([pad_id]), np.array([0]))
    rows = [(row, target) for row, e in enumerate(examples) for target in (e.targets or (start,))]
    targets = [target for _, target in rows]
    ids_DT, mask_DT = _pad_ids(_of_each(targets, lambda t: np.concatenate(([start_id], t.ids_T[:-1]))), pad_id)
    values_DT, has_value_DT = _pad_values(_of_each(targets, _shifted_values))
    known = all(t.labels_R is not None for t in targets)
    shared = [row for row, _ in rows]
    reads = [t.read_R for t in targets]
    return {
        "decoder_ids_DT": ids_DT,
        "decoder_mask_DT": mask_DT,
        "decoder_values_DT": values_DT,
        "decoder_has_value_DT": has_value_DT,
        "feeds_back": any(t.feeds_back for t in targets),
        "decoder_rows_D": None if shared == list(range(len(examples))) else torch.tensor(shared),
        "read_DR": _pad(reads, -1, torch.int64),
        "labels_DR": _pad_optional([t.labels_R for t in targets], IGNORE, torch.int64),
        "label_values_DR": _label_values(targets) if known else None,
        "label_bounds_DR": _pad_sparse([t.bounds_R for t in targets], reads, 0, torch.int8),
        "label_weights_DR": _pad_sparse([t.weights_R for t in targets], reads, 1, torch.float32),
    }


def _of_each(targets: Sequence[Target], make: Callable[[Target], T]) -> list[T]:
    """What `make` returns for each target. Rows that are not labelled often share one object, which is made once."""
    made = {key: make(target) for key, target in {id(target): target for target in targets}.items()}
    return [made[id(target)] for target in targets]


def _shifted_values(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Values and their mask, shifted one step to the right like the ids that carry them."""
    steps = len(target.ids_T)
    values, has_value = np.zeros(steps, np.float32), np.zeros(steps, bool)
    if target.values_T is not None and target.has_value_T is not None:
        values[1:], has_value[1:] = target.values_T[:-1], target.has_value_T[:-1]
    return values, has_value


def _label_values(targets: Sequence[Target]) -> Tensor | None:
    if all(t.values_T is None for t in targets):
        return None
    values = []
    for t in targets:
        if t.label_values_R is not None:
            values.append(t.label_values_R)
        elif t.values_T is None or t.has_value_T is None:
            values.append(np.full(len(t.read_R), np.nan, np.float32))
        else:
            values.append(np.where(t.has_value_T, t.values_T, np.nan)[t.read_R].astype(np.float32))
    return _pad(values, float("nan"), torch.float32)


def _pad_ids(rows: Sequence[np.ndarray], pad_id: int) -> tuple[Tensor, Tensor]:
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    return _pad(rows, pad_id, torch.int64), torch.from_numpy(mask)


def _pad_values(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor | None, Tensor | None]:
    if not np.concatenate([has_value for _, has_value in rows]).any():
        return None, None
    values = _pad([np.where(has, value, 0) for value, has in rows], 0, torch.float32)
    return values, _pad([has for _, has in rows], False, torch.bool)


def _pad_optional(rows: Sequence[np.ndarray | None], fill: float, dtype: torch.dtype) -> Tensor | None:
    given = [row for row in rows if row is not None]
    return _pad(given, fill, dtype) if len(given) == len(rows) else None


def _pad_sparse(
    rows: Sequence[np.ndarray | None], like: Sequence[np.ndarray], fill: float, dtype: torch.dtype
) -> Tensor | None:
    """Padded rows; a row that is None is filled with `fill`. None if all rows are None."""
    if all(row is None for row in rows):
        return None
    filled = [np.full(len(other), fill) if row is None else row for row, other in zip(rows, like, strict=True)]
    return _pad(filled, fill, dtype)


def _pad(rows: Sequence[np.ndarray], fill: float, dtype: torch.dtype) -> Tensor:
    longest = max(len(row) for row in rows)
    padded = torch.full((len(rows), longest), fill, dtype=dtype)
    array = padded.numpy()
    for i, row in enumerate(rows):
        array[i, : len(row)] = row
    return padded
