"""Which columns a task's prompts name, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import TaskError
from mammal.tasks.views.slots import SlotViews, slot_views
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.template import Template

SMILES = "SMILES"
SEQUENCES = ("AA", "DNA")
FEATURES_OF_MOLECULES = ("descriptors", "morgan")
"""Features whose column holds molecules; the others read sequences."""


@dataclass(frozen=True)
class PromptColumns:
    """Columns that a task's prompts name, by what they hold.

    Attributes:
        groups: for each thing that the input reads, the columns that may stand for it, first the one that says which
            thing it is: `(smiles, iupac)` for a molecule of either. Splits, leaks and baselines look at the first.
        needed: for each of them the columns of which a row must have one.
        targets, molecules, sequences: columns that are to be predicted; that hold SMILES; residues or bases.
        views: of the slots that have a choice, by the column that the template names.
        renames: column -> what the file calls it, as `data.columns` says.
        conditions: columns of the input that a row may do without. Numbers among them stand in no group: a row is not
            known by what is asked of its answer.
        fallbacks: column -> another that is read where there is none of that name: the slot's own name of `smiles`.
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
        """Every column that the input may read."""
        grouped = (column for group in self.groups for column in group)
        return list(dict.fromkeys([*grouped, *self.conditions]))

    @property
    def identities(self) -> list[str]:
        """The first column of each group."""
        return list(dict.fromkeys(group[0] for group in self.groups))

    @property
    def aliases(self) -> dict[str, str]:
        """Column -> what a row may call it instead."""
        return self.fallbacks | self.renames


def equal_sides(template: Template) -> tuple[str, str] | None:
    """The two columns that are the same entity and all that a prompt reads, so that their order says nothing; None for
    other prompts.

    A third column may belong to one side alone, as a mutant does to its wild type: a swap then changes the question.
    """
    slots = [slot for slot in template.slots if slot.part == "input"]
    single = [slot for slot in slots if slot.kind == "entity" and len(ENTITIES[slot.name].ways) == 1]
    entities = {slot.column: slot.name for slot in single}
    if len(entities) != 2 or len(set(entities.values())) != 1 or len(template.columns("input")) != 2:
        return None
    first, second = entities
    return first, second


def prompt_columns(config: TaskConfig) -> PromptColumns:
    """Columns of a declaration. In raw templates molecules are those declared, and other input text is a sequence.

    Raises:
        TaskError: views that the prompt can't show, or that show what is asked for.
        PromptError: the template is malformed.
    """
    template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
    views = slot_views(config, template)
    targets = template.columns("target") if config.prompt.target is not None else []
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
    """What stands for each thing that the input reads, and what a row needs of it."""
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
        column = _read(slot.column, views) if slot.part == "input" else slot.column
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
    """The column that says what a slot's column holds."""
    return views[column].identity if column in views else column


def _check_hidden(views: dict[str, SlotViews], targets: Sequence[str], task: str) -> None:
    """Refuses an input that may show what is to be predicted."""
    for slot in views.values():
        for view in slot.views if slot.asked is None else (*slot.views, slot.asked):
            if slot.source(view) in targets:
                others = [v.name for v in slot.views if slot.source(v) not in targets]
                what = f"view {view.name!r} shows column '{slot.source(view)}', which is to be predicted"
                hint = f"views: {{{slot.column}: [{', '.join(others)}]}}" if others else None
                raise TaskError(what, where=task, hint=hint)
