"""Encodes the rows of tasks once and keeps them on disk, for long runs and for machines that can't read the sources.

A pack holds the training rows of a task, in several views if its prompts vary (spellings of a SMILES, wordings,
withheld conditions), its validation rows, and what the task has fitted. `mammal train data.packed=FOLDER` reads it by
memory map, so a run starts at once and needs little memory. Spans of denoising tasks are still chosen again in
each epoch.

An interrupted run continues: finished chunks are kept in `.parts` until the pack is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mammal.corpus.arrays import fields_of, pack_rows
from mammal.corpus.in_order import results_in_order
from mammal.errors import ConfigError, MammalError, TrainingError
from mammal.evaluation.task_data import TaskData
from mammal.tasks.batches.example import Example
from mammal.tasks.batches.token_batches import RowError, encode_rows
from mammal.tasks.declaration.schema import stored_config
from mammal.tasks.tables.atomic import atomic_file, atomic_folder
from mammal.tasks.tables.cells import Row
from mammal.tasks.tables.spread_rows import spread_rows
from mammal.tasks.task import Task
from mammal.version import __version__

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer

CHUNK = 4_000
"""Rows that one process encodes at a time."""
FITTED_ON = 10_000
"""Maximum number of training rows, evenly spread, on which a task is fitted."""
MANIFEST = "pack.json"
PACKED = ("train", "valid")

Follow = Callable[[int], None]
"""Function that is called with the number of rows of each chunk that is encoded."""


@dataclass(frozen=True)
class _Chunk:
    """Rows that are encoded together."""

    rows: Sequence[Row]
    views: int


def pack_task(
    data: TaskData, folder: Path, *, views: int = 4, workers: int = 0, progress: Follow | None = None
) -> Path:
    """Encodes the training and validation rows of a task and writes them into `folder/TASK`.

    Args:
        data: the rows of the task, not yet prepared.
        folder: folder of the packs of a run; a complete pack of this task in it is kept.
        views: number of views of each training row, if the task varies its prompts.
        workers: number of processes that encode; 0: only this process.
        progress: called when a chunk is encoded.

    Returns:
        The folder of the pack.

    Raises:
        ConfigError: the folder has a pack of another declaration, other rows or another tokenizer.
        DataError: rows of this task can't be packed.
        TrainingError: no training row can be encoded.
    """
    task, place = data.task, folder / data.task.name
    stamp = stamp_of(task) | {"data": data.record.content, "split": data.split.hash}
    parts = folder / ".parts" / task.name
    views = views if task.draws else 1
    stamp |= {"views": views, "rows": {part: len(data.rows[part]) for part in PACKED}}
    if (known := _stamp_in(place) or _stamp_in(parts)) not in (None, stamp):
        changed = ", ".join(key for key, value in stamp.items() if (known or {}).get(key) != value)
        hint = "choose another output, or delete it"
        raise ConfigError(f"the folder holds a pack that differs in {changed}", where=str(place), hint=hint)
    if place.exists():
        return place
    parts.mkdir(parents=True, exist_ok=True)
    state_file = parts / "state.json"
    if state_file.exists():
        task.load_state(json.loads(state_file.read_text(encoding="utf-8")))
    else:
        rows = data.rows["train"]
        task.fit([rows[row] for row in spread_rows(len(rows), FITTED_ON).tolist()])
        _write_json(state_file, task.state())
        _write_json(parts / MANIFEST, {"stamp": stamp})
    left_out: list[tuple[str, int, str]] = []
    for part in PACKED:
        left_out += _encode_part(data, part, views if part == "train" else 1, parts, workers, progress)
    with atomic_folder(place) as made:
        rows_of = {part: _join(parts, part, made / part) for part in PACKED if len(data.rows[part])}
        if not rows_of.get("train"):
            raise TrainingError("no training row is left", where=f"task {task.name}", hint=left_out[0][2])
        content = {"stamp": stamp, "encoded": rows_of, "left_out": left_out, "about": task.config.about}
        _write_json(made / MANIFEST, content | {"licence": task.config.licence, "version": __version__})
        _write_json(made / "state.json", task.state())
        _write_json(made / "split.json", data.record.summary())
    shutil.rmtree(parts)
    return place


def stamp_of(task: Task) -> dict[str, Any]:
    """What a pack must agree with: digests of the declaration, without its data, and of the tokenizer."""
    declared = stored_config(task.config)
    declared.pop("data", None)
    return {"declaration": _digest(declared), "tokenizer": _digest(_ids_of(task.tokenizer))}


def _ids_of(tokenizer: Tokenizer) -> dict[str, Any]:
    alphabets = {name: tokenizer.alphabet_ids(name).tolist() for name in tokenizer.alphabets}
    return {"specials": dict(tokenizer.specials), "alphabets": alphabets}


def _digest(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _stamp_in(folder: Path) -> dict[str, Any] | None:
    file = folder / MANIFEST
    return json.loads(file.read_text(encoding="utf-8"))["stamp"] if file.exists() else None


def _write_json(path: Path, plain: Any) -> None:
    with atomic_file(path) as partial_file:
        partial_file.write_text(json.dumps(plain, default=float) + "\n", encoding="utf-8")


def _encode_part(
    data: TaskData, part: str, views: int, parts: Path, workers: int, progress: Follow | None
) -> list[tuple[str, int, str]]:
    """Encodes the rows of a part, chunk by chunk; returns the rows that can't be encoded, with reasons."""
    rows = data.rows[part]
    starts = range(0, len(rows), CHUNK)
    places = {start: parts / f"{part}-{start:09d}.npz" for start in starts}
    chunks = ((start, _Chunk(rows[start : start + CHUNK], views)) for start in starts if not places[start].exists())
    errors: list[tuple[str, int, str]] = []
    for start, encoded in results_in_order(_encode, chunks, workers, partial(_take, data.task)):
        with atomic_file(places[start]) as partial_file, partial_file.open("wb") as stream:
            np.savez(stream, **cast(Any, encoded))
        if progress is not None:
            progress(min(CHUNK, len(rows) - start))
    for start in starts:
        with np.load(places[start]) as arrays:
            bad = zip(arrays["errors.rows"].tolist(), arrays["errors.reasons"].tolist(), strict=True)
            errors += [(part, int(data.numbers[part][start + row]), reason) for row, reason in bad]
    return errors


_task: Task
"""The task of a process that encodes."""


def _take(task: Task) -> None:
    global _task
    _task = task


def _encode(chunk: _Chunk) -> dict[str, np.ndarray]:
    """The fields of each view of the rows, as `VIEW/FIELD`, and the rows that can't be encoded."""
    task = _task
    examples, errors = _encoded(task, chunk.rows, list(range(len(chunk.rows))))
    packed: dict[str, np.ndarray] = {"encoded": np.array([int(str(e.row_id)) for e in examples])}
    for view in range(chunk.views if examples else 0):
        found = examples if chunk.views == 1 else _view(task, chunk.rows, examples, view)
        fields = [fields_of(example) for example in found]
        if view:
            fields = [{name: array for name, array in row.items() if not name.startswith("vector.")} for row in fields]
        packed |= {f"{view}/{name}": array for name, array in pack_rows(fields).items()}
    packed["errors.rows"] = np.array([int(str(row)) for row, _ in errors], dtype=np.int64)
    packed["errors.reasons"] = np.array([reason for _, reason in errors], dtype=np.str_)
    return packed


def _view(task: Task, rows: Sequence[Row], examples: Sequence[Example], view: int) -> list[Example]:
    """The rows as epoch `view` shows them; a row that can't be encoded with its sampled view keeps its usual one."""
    task.epoch = view
    numbers = [int(str(example.row_id)) for example in examples]
    drawn, _ = encode_rows(task, [rows[n] for n in numbers], numbers, target=not task.changes_encoded, drawn=True)
    by_row = {example.row_id: example for example in drawn}
    return [by_row.get(example.row_id, example) for example in examples]


def _encoded(task: Task, rows: Sequence[Row], numbers: Sequence[int]) -> tuple[list[Example], list[RowError]]:
    examples, errors = encode_rows(task, rows, numbers, target=not task.changes_encoded)
    if not task.changes_encoded:
        return examples, errors
    kept = []
    for example in examples:
        try:
            task.changed(example, 0)
        except MammalError as error:
            errors.append((example.row_id, str(error)))
        else:
            kept.append(example)
    return kept, errors


def _join(parts: Path, part: str, folder: Path) -> int:
    """Joins the chunks of a part into one array for each field; the views follow each other. Returns the rows."""
    files = sorted(parts.glob(f"{part}-*.npz"))
    folder.mkdir(parents=True)
    names: dict[str, None] = {}
    rows = 0
    for file in files:
        with np.load(file) as arrays:
            names |= dict.fromkeys(arrays.files)
            rows += len(arrays["encoded"])
    views = 1 + max((int(name.split("/")[0]) for name in names if "/" in name), default=0)
    for field in dict.fromkeys(name.split("/")[1] for name in names if "/" in name):
        whole = [_of_chunks(files, f"{view}/{field}") for view in range(views) if f"{view}/{field}" in names]
        np.save(folder / f"{field}.npy", _joined_starts(whole) if field.endswith(".starts") else _narrow(whole, field))
    return rows


def _of_chunks(files: Sequence[Path], name: str) -> list[np.ndarray]:
    found = []
    for file in files:
        with np.load(file) as arrays:
            if name in arrays.files:
                found.append(arrays[name])
            elif name.endswith(".starts"):  # no row of this chunk has the field
                found.append(np.zeros(len(arrays["encoded"]) + 1, dtype=np.int64))
    return found


def _joined_starts(views: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    lengths = [np.diff(chunk) for view in views for chunk in view]
    return np.concatenate(([0], np.concatenate(lengths).cumsum())).astype(np.int64)


def _narrow(views: Sequence[Sequence[np.ndarray]], field: str) -> np.ndarray:
    """All numbers of a field; integers in two bytes if they fit."""
    if field.endswith(".width"):
        return views[0][0]
    whole = np.concatenate([chunk for view in views for chunk in view])
    small = whole.dtype == np.int32 and len(whole) and whole.min() >= 0 and whole.max() < 1 << 16
    return whole.astype(np.uint16) if small else whole
