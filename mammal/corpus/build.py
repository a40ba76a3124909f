"""Makes the tables of a corpus from files.

Each text is cleaned. Texts that can't be used, repeats, and texts that a task of the catalogue validates or tests on
are left out and counted. The rows of a table are in random order (by a hash of the text), so its first rows are a
sample.

An interrupted build continues: the cleaned chunks of each file are kept in `.parts` until the corpus is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.corpus.held_out import HeldOut, chosen_tasks, collect_held_out, overlaps
from mammal.corpus.identities import set_hashes, write_identities
from mammal.corpus.in_order import results_in_order
from mammal.corpus.recipe import CorpusFile, CorpusRecipe, CorpusSet
from mammal.errors import ConfigError, DataError, MammalError, did_you_mean
from mammal.files import file_hash
from mammal.overwriting import refuse_overwriting
from mammal.tasks.pretraining.cleaning import clean
from mammal.tasks.tables.atomic import atomic_file
from mammal.version import __version__

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CHUNK = 10_000
"""Rows that one process cleans at a time."""
MANIFEST = "corpus.json"
_PARTS = ".parts"

Follow = Callable[[str, int], None]
"""Function that is called with the name of a file and the number of its rows that are cleaned."""


def build_corpus(
    recipe: CorpusRecipe,
    output: Path,
    paths: Mapping[str, object] | None = None,
    *,
    workers: int = 0,
    config_dirs: Sequence[Path] = (),
    progress: Follow = lambda name, rows: None,
) -> dict[str, Any]:
    """Makes the tables of a corpus: `NAME.parquet` for each set, and the manifest `corpus.json`.

    `identities.safetensors` has hashes of the training rows, with which a pretrained model can tell which rows it has
    seen.

    Args:
        recipe: what the corpus is made from.
        output: folder of the corpus.
        paths: `{"data": folder}` in which files are searched.
        workers: number of processes that clean texts; 0: only this process.
        config_dirs: folders of the user that contain `task/*.yaml`.
        progress: called when a chunk of rows is cleaned.

    Returns:
        The manifest: for each set and file the number of rows that were read, kept and left out by reason; the hash of
        each table; licences; versions.

    Raises:
        DataError: a file can't be found or read, or a column is missing.
        ConfigError: the folder holds another corpus, or `held_out` names an unknown task.
    """
    from mammal.tasks.declaration.registry import list_tasks, load_task

    _check_output(output, recipe, paths)
    output.mkdir(parents=True, exist_ok=True)
    parts = output / _PARTS
    _claim(parts, output, recipe)
    names = chosen_tasks(recipe.held_out, recipe.not_held_out, list_tasks(config_dirs)) if recipe.held_out else []
    held_file = parts / "held_out.json"
    if held_file.exists():
        held = HeldOut.read(held_file)
    else:
        tasks = {name: load_task(name, config_dirs=config_dirs) for name in names}
        held = collect_held_out(tasks, paths, lambda name: progress(f"held out: {name}", 0))
        held.write(held_file)
    manifest: dict[str, Any] = {"recipe": asdict(recipe), "sets": {}}
    identities: dict[str, np.ndarray] = {}
    for one in recipe.sets:
        frame, keys, counts = _make_set(one, recipe, parts, held, paths, workers, config_dirs, progress)
        table = output / f"{one.name}.parquet"
        with atomic_file(table) as partial_file:
            frame.to_parquet(partial_file, index=False)
        sizes = frame["split"].value_counts()
        identities[f"{one.family}/{one.name}"] = set_hashes(keys)
        manifest["sets"][one.name] = {
            "files": counts,
            "rows": {part: int(sizes.get(part, 0)) for part in ("train", "valid")},
            "characters": int(frame[one.text_column].str.len().sum()),
            "hash": file_hash(table),
        }
    write_identities(output, identities)
    manifest["held_out"] = {"rows": held.rows, "missing": held.missing}
    manifest["held_out"]["keys"] = {family: len(keys) for family, keys in held.keys.items()}
    manifest["versions"] = {"mammal": __version__, **_versions()}
    text = json.dumps(manifest, indent=2) + "\n"
    with atomic_file(output / MANIFEST) as partial_file:
        partial_file.write_text(text, encoding="utf-8")
    shutil.rmtree(parts)
    return json.loads(text)


def _check_output(output: Path, recipe: CorpusRecipe, paths: Mapping[str, object] | None) -> None:
    """Refuses a folder in which a table would replace a file that the recipe reads."""
    from mammal.tasks.sources.local import data_root, find_file

    read = {}
    for one in recipe.sets:
        for file in one.files:
            with suppress(MammalError):  # whoever reads the file reports what is wrong
                if file.path:
                    read[f"file {file.name} of the recipe"] = find_file(str(file.path), data_root(paths))
    refuse_overwriting({f"table of {one.name}": output / f"{one.name}.parquet" for one in recipe.sets}, read)


def _claim(parts: Path, output: Path, recipe: CorpusRecipe) -> None:
    """Checks that the folder holds nothing but an unfinished build of the same recipe."""
    stamp = json.dumps(asdict(recipe), indent=2)
    known = parts / "recipe.json"
    if (output / MANIFEST).exists():
        raise ConfigError("the folder holds a corpus", where=str(output), hint="choose another output, or delete it")
    if known.exists() and known.read_text(encoding="utf-8") != stamp:
        hint = "choose another output, or delete it"
        raise ConfigError("the folder holds an unfinished corpus of another recipe", where=str(output), hint=hint)
    parts.mkdir(exist_ok=True)
    with atomic_file(known) as partial_file:
        partial_file.write_text(stamp, encoding="utf-8")


def _make_set(
    one: CorpusSet,
    recipe: CorpusRecipe,
    parts: Path,
    held: HeldOut,
    paths: Mapping[str, object] | None,
    workers: int,
    config_dirs: Sequence[Path],
    progress: Follow,
) -> tuple[pd.DataFrame, list[str], list[dict[str, Any]]]:
    """One table, the keys of its training rows, and what became of the rows of each of its files."""
    import pandas as pd

    text, seen, frames, counts = one.text_column, set[str](), [], []
    for number, file in enumerate(one.files):
        cleaned = _cleaned_file(
            one, file, parts / f"{one.name}-{number}", paths, recipe.seed, workers, config_dirs, progress
        )
        left_out: Counter[str] = Counter(reason for reason in cleaned["reason"] if reason)
        frame = cleaned[cleaned["reason"] == ""].drop(columns="reason")
        first = ~frame[text].duplicated() & ~frame[text].isin(seen)
        left_out["repeated"] += int((~first).sum())
        frame = frame[first]
        tested = _is_held_out(frame["key"].tolist(), one, held)
        left_out["in a validation or test set"] += sum(tested)
        frame = frame[[not is_tested for is_tested in tested]]
        frame["order"] = [_hash(recipe.seed, key) for key in frame[text]]
        seen.update(frame[text])
        frames.append(frame.assign(source=file.name))
        origin = {"name": file.name, "licence": _licence(file, config_dirs), "citation": file.citation}
        counts.append(
            {**origin, "read": len(cleaned), "kept": len(frame), "left_out": dict(sorted((+left_out).items()))}
        )
    whole = pd.concat(frames, ignore_index=True).sort_values("order", kind="stable")
    valid = [_hash(recipe.seed, key) < recipe.valid_share for key in whole["key"]]
    whole["split"] = ["valid" if is_valid else "train" for is_valid in valid]
    trained = whole["key"][whole["split"] == "train"].tolist()
    return whole.drop(columns=["key", "order"]).reset_index(drop=True), trained, counts


def _cleaned_file(
    one: CorpusSet,
    file: CorpusFile,
    parts: Path,
    paths: Mapping[str, object] | None,
    seed: int,
    workers: int,
    config_dirs: Sequence[Path],
    progress: Follow,
) -> pd.DataFrame:
    """Every row of a file, or a sample, with its cleaned text, its key and the reason if it can't be used."""
    import pandas as pd

    done = parts.with_suffix(".parquet")
    if done.exists():
        return pd.read_parquet(done)
    parts.mkdir(exist_ok=True)
    every = _rows(one, file, paths, config_dirs)
    chosen = every if file.rows is None else iter(_sample(list(every), file.rows, seed))
    chunks = ((parts / f"{number:05d}.parquet", rows) for number, rows in enumerate(_chunks(chosen, CHUNK)))
    todo = ((place, rows) for place, rows in chunks if not place.exists())
    for place, frame in results_in_order(partial(_clean_chunk, one), todo, workers):
        with atomic_file(place) as partial_file:
            frame.to_parquet(partial_file, index=False)
        progress(file.name, len(frame))
    frames = [pd.read_parquet(place) for place in sorted(parts.glob("*.parquet"))]
    if not frames:
        raise DataError("the file has no rows", where=file.name)
    whole = pd.concat(frames, ignore_index=True)
    with atomic_file(done) as partial_file:
        whole.to_parquet(partial_file, index=False)
    shutil.rmtree(parts)
    return whole


def _sample(rows: Sequence[tuple[str, ...]], count: int, seed: int) -> list[tuple[str, ...]]:
    """At most `count` rows, chosen by a hash of the text and in their order."""
    if len(rows) <= count:
        return list(rows)
    order = sorted(range(len(rows)), key=lambda row: _hash(seed, rows[row][0]))
    return [rows[row] for row in sorted(order[:count])]


def _clean_chunk(one: CorpusSet, rows: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    import pandas as pd

    cleaned = clean([text for text, *_ in rows], one.family, one.shortest, one.longest)
    kept = list(one.files[0].keep)
    lines = [
        (found.text, found.key, found.reason or ("" if all(others) else "empty column"), *others)
        for found, (_, *others) in zip(cleaned, rows, strict=True)
    ]
    return pd.DataFrame(lines, columns=[one.text_column, "key", "reason", *kept], dtype="string").astype(object)


def _rows(
    one: CorpusSet, file: CorpusFile, paths: Mapping[str, object] | None, config_dirs: Sequence[Path]
) -> Iterator[tuple[str, ...]]:
    """The text of each row and its further columns."""
    from mammal.tasks.data import load_data
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.sources.local import data_root, find_file
    from mammal.tasks.tables.readers import iter_tables

    if file.task:
        task = load_task(file.task, config_dirs=config_dirs)
        frames: Iterator[pd.DataFrame] = iter([load_data(task, paths).part("train")])
    else:
        place = find_file(str(file.path), data_root(paths))
        frames = iter_tables(place, keep_damaged=True)
    for frame in frames:
        names = [file.column or _text_column(one, list(map(str, frame.columns)), file.name), *file.keep.values()]
        for name in names:
            if name not in frame.columns:
                hint = did_you_mean(name, list(map(str, frame.columns)), noun="column")
                raise DataError(f"no column {name!r}", where=file.name, hint=hint)
        yield from zip(*(frame[name].fillna("").astype(str) for name in names), strict=True)


def _text_column(one: CorpusSet, columns: Sequence[str], where: str) -> str:
    found = [name for name in columns if name.lower() == one.text_column]
    if not found and len(columns) == 1:
        return columns[0]
    if not found:
        raise DataError(f"no column {one.text_column!r}", where=where, hint=f"column: one of {', '.join(columns)}")
    return found[0]


def _is_held_out(keys: list[str], one: CorpusSet, held: HeldOut) -> list[bool]:
    known = held.keys[one.family]
    if one.family == "dna":
        return overlaps(keys, known)
    equal = [key in known for key in keys]
    if one.family != "protein" or one.identity == 1:
        return equal
    from mammal.tasks.sequences.clusters import similar_to_any

    similar_N = similar_to_any(keys, sorted(known), one.identity)
    return [is_equal or bool(is_similar) for is_equal, is_similar in zip(equal, similar_N, strict=True)]


def _licence(file: CorpusFile, config_dirs: Sequence[Path]) -> str:
    from mammal.tasks.declaration.registry import load_task

    if file.licence or not file.task:
        return file.licence or "not stated"
    return load_task(file.task, config_dirs=config_dirs).licence or "not stated"


def _hash(seed: int, text: str) -> float:
    """A number in [0, 1) that depends only on the seed and the text."""
    digest = hashlib.blake2b(f"{seed} {text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _chunks(rows: Iterator[tuple[str, ...]], size: int) -> Iterator[list[tuple[str, ...]]]:
    while chunk := list(islice(rows, size)):
        yield chunk


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("rdkit", "numpy")}
