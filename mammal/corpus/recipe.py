"""The declaration of a corpus: which files its sets are made from, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from mammal.errors import ConfigError, did_you_mean
from mammal.tasks.pretraining.cleaning import FAMILIES


@dataclass(frozen=True)
class CorpusFile:
    """One source of a set: a file, or the training part of a task.

    Attributes:
        path: a file of the user, or below `paths.data`.
        task: name of a task; its training rows are read. One of `path` and `task` is given.
        column: column of the text. None: the column of the entity's usual name, or the only one.
        keep: further columns of the set -> columns of the file. Rows in which one of them is empty are left out.
        rows: read at most this many rows, chosen at random. None: all.
        licence: licence of the data; for a task its own.
        citation: source of the data; for a task its own.
    """

    path: str | None = None
    task: str | None = None
    column: str | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    licence: str = ""
    citation: str = ""

    @property
    def name(self) -> str:
        """The path, or the name of the task."""
        return self.path or f"task {self.task}"


@dataclass(frozen=True)
class CorpusSet:
    """One table of the corpus.

    Attributes:
        name: name of the table.
        entity: an entity of the prompt language (`mammal.tokenization.entities`), such as `smiles` or `protein`.
        files: where its texts come from. Of equal texts, the first is kept.
        shortest: minimum number of characters of a text.
        longest: maximum number of characters of a text; longer ones are left out.
        identity: proteins: minimum identity at which a sequence counts as one that is held out. 1: only equal ones.
    """

    name: str
    entity: str
    files: tuple[CorpusFile, ...]
    shortest: int = 1
    longest: int = 4000
    identity: float = 1.0

    @property
    def family(self) -> str:
        """`molecule`, `protein` or `dna`."""
        from mammal.tokenization.entities import ENTITIES

        return FAMILIES[ENTITIES[self.entity].alphabet]

    @property
    def text_column(self) -> str:
        """Name of the column of the texts in the table."""
        return "smiles" if self.family == "molecule" else "sequence"


@dataclass(frozen=True)
class CorpusRecipe:
    """A corpus.

    Attributes:
        name: name of the corpus.
        sets: its tables.
        held_out: tasks whose validation and test rows must not be in it; names may contain `*`.
        not_held_out: exceptions from `held_out`, such as the tasks that read the corpus itself.
        valid_share: share of the texts that are for validation, chosen by a hash of the text: a molecule is in the same
            part in every set.
        seed: changes that hash, and the order of the rows.
    """

    name: str
    sets: tuple[CorpusSet, ...]
    held_out: tuple[str, ...] = ("*",)
    not_held_out: tuple[str, ...] = ()
    valid_share: float = 0.005
    seed: int = 0


def read_recipe(declared: Mapping[str, Any]) -> CorpusRecipe:
    """Checks a declaration.

    Args:
        declared: plain values, as in `configs/corpus/*.yaml`.

    Raises:
        ConfigError: a key is unknown, or a value is missing or not valid.
    """
    known = _known(CorpusRecipe, declared, "corpus")
    sets = known.pop("sets", None)
    if not isinstance(sets, Mapping) or not sets:
        raise ConfigError("sets must name the tables of the corpus", where="corpus")
    recipe = CorpusRecipe(**{**known, "sets": tuple(_set(str(name), values) for name, values in sets.items())})
    if not 0 <= recipe.valid_share < 1:
        raise ConfigError(f"valid_share must be from 0 to below 1, not {recipe.valid_share}", where="corpus")
    return recipe


def _set(name: str, declared: Mapping[str, Any]) -> CorpusSet:
    from mammal.tokenization.entities import ENTITIES

    where = f"corpus.sets.{name}"
    known = _known(CorpusSet, {"name": name, **declared}, where)
    entities = [entity for entity, about in ENTITIES.items() if about.alphabet in FAMILIES]
    if known.get("entity") not in entities:
        what = f"entity must be one of {', '.join(entities)}, not {known.get('entity')!r}"
        raise ConfigError(what, where=where, hint=did_you_mean(str(known.get("entity")), entities, noun="entity"))
    files: Sequence[Mapping[str, Any]] = known.pop("files", None) or []
    if not files:
        raise ConfigError("files must list at least one file", where=where)
    read = tuple(CorpusFile(**_known(CorpusFile, one, f"{where}.files")) for one in files)
    for one in read:
        if bool(one.path) == bool(one.task):
            raise ConfigError("an item of files needs a path or a task, and not both", where=f"{where}.files")
    made = CorpusSet(**{**known, "files": read})
    if not 0 < made.identity <= 1:
        raise ConfigError(f"identity must be above 0 and at most 1, not {made.identity}", where=where)
    if len({frozenset(one.keep) for one in read}) > 1:
        raise ConfigError("keep must name the same columns for every file of a set", where=f"{where}.files")
    return made


def _known(kind: type[Any], declared: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(declared, Mapping):
        raise ConfigError(f"must be a mapping, not {declared!r}", where=where)
    names = [one.name for one in fields(kind)]
    for name in declared:
        if name not in names:
            raise ConfigError(f"unknown key {name!r}", where=where, hint=did_you_mean(str(name), names, noun="key"))
    return {
        name: tuple(value) if isinstance(value, list) and name != "files" else value for name, value in declared.items()
    }
