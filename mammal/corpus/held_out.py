"""Texts of validation and test rows of the tasks of the catalogue, which a corpus must not contain.

Molecules are compared by connectivity (first block of the InChIKey), so a stereoisomer of a test molecule is left out,
too. Proteins are compared as text and, on request, by identity; DNA by shared stretches of `STRETCH` bases on either
strand.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, MammalError, did_you_mean
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig

logger = logging.getLogger(__name__)

STRETCH = 32
"""Number of equal consecutive bases at which two DNA texts count as overlapping."""


@dataclass
class HeldOut:
    """What must not be in a corpus.

    Attributes:
        keys: `molecule`, `protein` and `dna` -> keys as in `mammal.tasks.pretraining.cleaning.Cleaned`.
        rows: number of validation and test rows by task.
        missing: tasks whose data can't be loaded here -> the reason.
    """

    keys: dict[str, set[str]] = field(default_factory=lambda: {"molecule": set(), "protein": set(), "dna": set()})
    rows: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        keys = {family: sorted(found) for family, found in self.keys.items()}
        with atomic_file(path) as partial:
            partial.write_text(json.dumps({"keys": keys, "rows": self.rows, "missing": self.missing}), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> HeldOut:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls({family: set(found) for family, found in stored["keys"].items()}, stored["rows"], stored["missing"])


def chosen_tasks(wanted: Sequence[str], exceptions: Sequence[str], known: Collection[str]) -> list[str]:
    """Returns the names of the tasks that patterns choose.

    Args:
        wanted: names or patterns with `*`.
        exceptions: names or patterns that are left out.
        known: names of all tasks.

    Raises:
        ConfigError: a name or pattern fits no task.
    """
    for pattern in (*wanted, *exceptions):
        if not any(fnmatchcase(name, pattern) for name in known):
            hint = did_you_mean(pattern, known, noun="task")
            raise ConfigError(f"no task is called {pattern!r}", where="corpus.held_out", hint=hint)
    fits = [name for name in known if any(fnmatchcase(name, pattern) for pattern in wanted)]
    return [name for name in fits if not any(fnmatchcase(name, pattern) for pattern in exceptions)]


def collect_held_out(
    configs: Mapping[str, TaskConfig],
    paths: Mapping[str, object] | None,
    progress: Callable[[str], None] = lambda name: None,
) -> HeldOut:
    """Loads every task and collects the texts of its validation and test rows.

    Args:
        configs: declarations by name.
        paths: `{"data": folder}` in which data sets are searched.
        progress: called with the name of each task before it is loaded.

    Returns:
        The keys. Tasks whose data is not on this machine are listed in `missing`.
    """
    found = HeldOut()
    for name, config in configs.items():
        if config.data.source == "file" and not (config.data.path or config.data.files):
            continue  # the user names the data of such a task
        progress(name)
        try:
            texts = _texts(config, paths)
        except (MammalError, ImportError) as error:
            found.missing[name] = str(error)
            logger.warning("%s: its rows can't be left out, because its data can't be loaded: %s", name, error)
            continue
        found.rows[name] = texts.pop("rows")
        for family, held in texts.items():
            found.keys[family] |= _keys(held, family)
    return found


def _texts(config: TaskConfig, paths: Mapping[str, object] | None) -> dict[str, Any]:
    from mammal.tasks.data import load_data
    from mammal.tasks.pretraining.columns import family_columns

    data = load_data(config, paths)
    frames = [data.part(part) for part in ("valid", "test")]
    texts: dict[str, Any] = {"rows": sum(map(len, frames))}
    for family, names in family_columns(config).items():
        cells = (frame[name] for frame in frames for name in names if name in frame.columns)
        texts[family] = {str(cell) for column in cells for cell in column.dropna().unique() if str(cell).strip()}
    return texts


def _keys(texts: Iterable[str], family: str) -> set[str]:
    from mammal.tasks.pretraining.cleaning import keys_of

    return set(filter(None, keys_of(sorted(texts), family)))


def overlaps(keys: Sequence[str], held: Collection[str]) -> list[bool]:
    """Whether DNA texts share a stretch of `STRETCH` bases with texts that are held out, on either strand.

    Args:
        keys: reference sequences of the corpus.
        held: reference sequences that are held out. Those shorter than a stretch are compared as a whole.
    """
    from mammal.tokenization.strands import reverse_complement

    known: set[int] = set()
    for text in held:
        for strand in (text, reverse_complement(text)):
            known |= {hash(strand[at : at + STRETCH]) for at in range(max(1, len(strand) - STRETCH + 1))}
    return [any(hash(key[at : at + STRETCH]) in known for at in range(max(1, len(key) - STRETCH + 1))) for key in keys]
