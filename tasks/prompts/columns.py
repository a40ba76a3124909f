"""The columns of a task's prompts, and their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import TaskError
from mammal.tasks.views.slots import SlotViews, slot_views
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.template import Template
from mammal.tokenization.template_syntax import READ_BY_FEATURE

SMILES = "SMILES"
SEQUENCES = ("AA", "DNA")
FEATURES_OF_MOLECULES = tuple(name for name, alphabet in READ_BY_FEATURE.items() if alphabet == SMILES)
"""Features of molecules; all others are features of sequences."""


@dataclass(frozen=True)
class PromptColumns:
    """Columns of a task's prompts, by their content.

    Attributes:
        groups: for each entity or value of the input, the columns that can give it, first the one that identifies it:
            `(smiles, iupac)` for a molecule that can be given as either. Splits, leaks and baselines use the first.
        needed: for each group, the columns of which a row must have one.
        targets: columns that are predicted; features are computed, so their columns are not among them.
        molecules: columns that hold SMILES.
        sequences: columns that hold residues or bases.
        views: views of the slots that have several, by the column that the template names.
        renames: column -> name of the column in the file (`data.columns`).
        conditions: columns of the input that a row may lack. Numbers among them are in no group, because a requested
            property of the answer does not identify a row.
        fallbacks: column -> another column that is read if the table lacks the first, such as `smiles` -> the name of
            the slot.
    """

    groups: list[tuple[str, ...]]
    needed: list[tuple[str, ...]]
    targets: list[str]
    molecules: list[str]
    sequences: list[str]
    views: dict[str, SlotViews] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)
    fallbacks: dict[str, str] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> list[str]:
        """Every column that the input can read."""
        grouped = (column for group in self.groups for column in group)
        return list(dict.fromkeys([*grouped, *self.conditions]))

    @property
    def identities(self) -> list[str]:
        """The first column of each group."""
        return list(dict.fromkeys(group[0] for group in self.groups))

    @property
    def aliases(self) -> dict[str, str]:
        """Column -> another name that it can have in a row."""
        return self.fallbacks | self.renames


def equal_sides(template: Template) -> tuple[str, str] | None:
    """Returns the two columns of a symmetric pair: same entity, and nothing else in the prompt; else None.

    With a third column, the pair does not count as symmetric, because the column may belong to one side, as a mutant
    does to its wild type. Swapping the sides would then change the meaning of the row.
    """
    slots = [slot for slot in template.slots if slot.part == "input"]
    single = [slot for slot in slots if slot.kind == "entity" and len(ENTITIES[slot.name].ways) == 1]
    entities = {slot.column: slot.name for slot in single}
    if len(entities) != 2 or len(set(entities.values())) != 1 or len(template.columns("input")) != 2:
        return None
    first, second = entities
    return first, second


def prompt_columns(config: TaskConfig) -> PromptColumns:
    """Returns the columns of a declaration.

    In raw templates, only the declared columns are molecules, and other input text is a sequence.

    Raises:
        TaskError: the prompt can't show a declared view, or a view shows a column that is predicted.
        PromptError: the template is malformed.
    """
    template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
    views = slot_views(config, template)
    asked = [slot.column for slot in template.slots if slot.part == "target" and slot.kind != "feature"]
    targets = list(dict.fromkeys(asked))
    _check_hidden(views, targets, config.name)
    groups, needed = _groups(template, views, config.conditions.columns)
    molecules, sequences = _contents(template, views, config.molecules)
    named = {key for slot in views.values() if len(slot.ways) > 1 for key in (slot.column, *slot.keys)}
    renames = {column: name for column, name in config.data.columns.items() if column not in named}
    usual = [slot for slot in views.values() if slot.identity == slot.ways[0] != slot.column]
    return PromptColumns(
        groups,
        needed,
        targets,
        molecules,
        sequences,
        views,
        renames,
        conditions=list(config.conditions.columns),
        fallbacks={slot.identity: slot.column for slot in usual if slot.column not in slot.sources.values()},
    )


def _groups(
    template: Template, views: dict[str, SlotViews], conditions: Sequence[str]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """For each entity or value of the input, the columns that can give it, and those of which a row needs one."""
    groups: dict[tuple[str, ...], None] = {}
    needed: dict[tuple[str, ...], None] = {}
    for slot in template.slots:
        if slot.part != "input":
            continue
        if slot.column in conditions and slot.kind == "scalar":
            continue
        of_slot = views.get(slot.column)
        groups[tuple(of_slot.sources.values()) if of_slot else (slot.column,)] = None
        if slot.column in conditions:
            continue
        if of_slot is not None and slot.kind == "entity":
            needed[of_slot.needed] = None
        else:
            needed[(_read(slot.column, views),)] = None
    return list(groups), list(needed)


def _contents(
    template: Template, views: dict[str, SlotViews], declared: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Columns that hold molecules, and those that hold sequences."""
    molecules = list(declared or [])
    sequences: list[str] = []
    for slot in template.slots:
        shown = slot.part == "input" or slot.kind == "feature"
        column = _read(slot.column, views) if shown else slot.column
        alphabet = ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
        plain = slot.kind == "text" and slot.part == "input" and column not in molecules
        if slot.kind == "feature":
            (molecules if slot.name in FEATURES_OF_MOLECULES else sequences).append(column)
        elif slot.kind in ("entity", "alphabet") and alphabet == SMILES and declared is None:
            molecules.append(column)
        elif plain or (slot.kind in ("entity", "alphabet") and alphabet in SEQUENCES):
            sequences.append(column)
    return list(dict.fromkeys(molecules)), list(dict.fromkeys(sequences))


def _read(column: str, views: dict[str, SlotViews]) -> str:
    """The column that identifies the content of a slot's column."""
    return views[column].identity if column in views else column


def _check_hidden(views: dict[str, SlotViews], targets: Sequence[str], task: str) -> None:
    """Raises an error if a view of the input shows a column that is predicted."""
    for slot in views.values():
        for view in slot.views if slot.asked is None else (*slot.views, slot.asked):
            if slot.source(view) in targets:
                others = [v.name for v in slot.views if slot.source(v) not in targets]
                what = f"view {view.name!r} shows column '{slot.source(view)}', which is to be predicted"
                hint = f"views: {{{slot.column}: [{', '.join(others)}]}}" if others else None
                raise TaskError(what, where=task, hint=hint)
