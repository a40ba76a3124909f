"""The views of each slot of a task, and the choice of one for each row.

    views: {mol: [smiles, iupac]}                  # in equal shares
    views: {mol: {smiles: 1, iupac: 3}}            # iupac three times as often

Training samples a view. Outside training, the view of `view` is shown, or else the first view, in the declared order,
for which the row has a value. A slot `{mol:molecule}` reads its SMILES from the column `smiles` and its name from
`iupac`, unless `data.columns` names other columns (`{mol.smiles: SMILES, mol.iupac: IUPAC_NAME}`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.molecules.chemistry import standardise
from mammal.tasks.views.registry import View, find_view, views_of
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tokenization.template import Template
    from mammal.tokenization.template_syntax import TemplateSlot

Read = Callable[[str], "str | None"]
"""Function from a column to the row's text there, None if there is none."""


class Shown(NamedTuple):
    """The view and the text that a prompt shows in a slot."""

    view: View
    text: str


@dataclass(frozen=True)
class SlotViews:
    """The views of one slot.

    Attributes:
        column: name in the template.
        views: views from which training samples.
        weights: their shares.
        sources: entity of the shown text -> column that is read for it.
        ways: entities as which the slot can be written.
        known: names of all views that can be declared.
        asked: the view that is shown outside training; None: the first one for which a row has a value.
    """

    column: str
    views: tuple[View, ...]
    weights: tuple[float, ...]
    sources: Mapping[str, str]
    ways: tuple[str, ...]
    known: tuple[str, ...]
    asked: View | None = None

    @property
    def varies(self) -> bool:
        """Whether training chooses at random."""
        return len(self.views) > 1 or self.views[0].is_drawn

    @property
    def fixed_views(self) -> tuple[View, ...]:
        """The views that can be shown outside training, in the order in which they are tried."""
        if self.asked is not None:
            return (self.asked,)
        return tuple(view for view in self.views if not view.is_drawn) or self.views

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns of which a row must have one outside training."""
        return tuple(dict.fromkeys(self.source(view) for view in self.fixed_views))

    @property
    def identity(self) -> str:
        """The column that identifies the entity: for a molecule its SMILES, if there is a column for it."""
        return next(iter(self.sources.values()))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its columns in `data.columns`."""
        return tuple(f"{self.column}.{way}" for way in self.ways)

    def source(self, view: View) -> str:
        return self.sources[view.written_as]

    def fixed(self, read: Read) -> Shown:
        """Returns the view and text that are shown outside training.

        Raises:
            DataError: the row has no value for any of the views.
        """
        return self._first(self.fixed_views, read, None)

    def every(self, read: Read) -> list[tuple[View, str | None]]:
        """Returns every view with the text that it shows, None if the row has no value for it."""
        texts = ((view, read(self.source(view))) for view in self.views)
        return [(view, None if text is None else view.text(text)) for view, text in texts]

    def drawn(self, read: Read, rng: np.random.Generator) -> Shown:
        """Samples the view and text for training, from the views for which the row has a value.

        Raises:
            DataError: the row has no value for any of the views.
        """
        import numpy as np  # not needed for lists of tasks

        shares = np.array(self.weights) / sum(self.weights)
        order = rng.choice(len(self.views), size=len(self.views), replace=False, p=shares)
        return self._first([self.views[i] for i in order], read, rng)

    def _first(self, views: Sequence[View], read: Read, rng: np.random.Generator | None) -> Shown:
        seen: dict[str, None] = {}
        for view in views:
            text = read(self.source(view))
            if text is None:
                continue
            seen[view.name] = None
            if (shown := view.text(text, rng)) is not None:
                return Shown(view, shown)
        if seen:
            for text in [read(self.source(view)) for view in views if view.written_as == "smiles"]:
                if text is not None:
                    standardise(text, "check", self.column)  # why a molecule is not valid says more than the rest
            raise DataError(f"there is nothing to show as {' or '.join(seen)}", where=f"column {self.column}")
        read_here = {self.source(view) for view in views}
        columns = [column for column in self.sources.values() if column in read_here]
        if len(columns) == 1:
            raise DataError("empty cell", where=f"column {columns[0]}")
        raise DataError(f"the row has no value in {' or '.join(columns)}", where=f"slot {self.column}")


def slot_views(config: TaskConfig, template: Template) -> dict[str, SlotViews]:
    """Returns the views of every input slot that does not just show its own text, by column.

    Raises:
        TaskError: `views` or `view` names an unknown slot or view, or several slots would read the same columns.
    """
    slots = {slot.column: slot for slot in template.slots if slot.kind == "entity" and slot.part == "input"}
    for column in config.views:
        if column not in slots:
            hint = (
                did_you_mean(column, slots, noun="slot")
                if slots
                else "views are for slots of the input, {column:entity}"
            )
            raise TaskError(f"views names '{column}', which is not a slot of an entity", where=config.name, hint=hint)
    chosen = [slot for slot in slots.values() if slot.column in config.views or len(_ways(slot)) > 1]
    chosen += [slot for slot in slots.values() if slot not in chosen and _asked(config.view, slot)]
    alone = sum(len(_ways(slot)) > 1 for slot in chosen) == 1
    found = {slot.column: _slot_views(slot, config, alone=alone) for slot in chosen}
    _check_asked(config, found)
    return found


def _slot_views(slot: TemplateSlot, config: TaskConfig, *, alone: bool) -> SlotViews:
    sources = _sources(slot, config.data.columns, alone=alone)
    declared = config.views.get(slot.column)
    if declared is None:
        names = [view.name for view in views_of(slot.name).values() if view.written_as in sources]
        declared = names if len(_ways(slot)) > 1 else names[:1]
    shares = declared if isinstance(declared, Mapping) else dict.fromkeys(declared, 1.0)
    views = tuple(find_view(slot.name, name, f"views.{slot.column}") for name in shares)
    for view in views:
        if view.written_as not in sources:
            hint = f"data.columns: {{{slot.column}.{view.written_as}: COLUMN}}"
            raise TaskError(f"view {view.name!r} has no column to read", where=f"views.{slot.column}", hint=hint)
    asked = _asked(config.view, slot)
    if asked is not None and asked.written_as not in sources:
        raise TaskError(f"view {asked.name!r} has no column to read", where=f"slot {slot.column}")
    weights = tuple(map(float, shares.values()))
    return SlotViews(slot.column, views, weights, sources, _ways(slot), tuple(views_of(slot.name)), asked)


def _sources(slot: TemplateSlot, columns: Mapping[str, str], *, alone: bool) -> dict[str, str]:
    """Entity as which the slot can be written -> column that is read for it."""
    ways = _ways(slot)
    if len(ways) == 1:
        return {ways[0]: slot.column}
    named = {way: columns[key] for way in ways if (key := f"{slot.column}.{way}") in columns}
    if slot.column in columns:  # the column with the slot's own name holds the usual form
        named.setdefault(ways[0], columns[slot.column])
    found = {way: named.get(way, way) for way in ways if alone or way in named}
    if not found:
        keys = ", ".join(f"{slot.column}.{way}: COLUMN" for way in ways)
        what = f"several slots are written as {' or '.join(ways)}, and nothing says which columns '{slot.column}' reads"
        raise TaskError(what, where="prompt.input", hint=f"data.columns: {{{keys}}}")
    return found


def _asked(view: Any, slot: TemplateSlot) -> View | None:
    """The view that `view` requests for a slot: one name for all slots that have it, or a name for each column."""
    name = view.get(slot.column) if isinstance(view, Mapping) else view
    return None if name is None else views_of(slot.name).get(name)


def _check_asked(config: TaskConfig, found: Mapping[str, SlotViews]) -> None:
    """Raises an error if `view` names a view that no slot has, or that its slot does not have."""
    if config.view is None:
        return
    known = sorted({name for slot in found.values() for name in slot.known})
    if isinstance(config.view, Mapping):
        unknown = [name for column, name in config.view.items() if column not in found or found[column].asked is None]
    else:
        unknown = [] if any(slot.asked for slot in found.values()) else [config.view]
    if unknown:
        hint = did_you_mean(str(unknown[0]), known, noun="view") if known else "the prompt has no slot with views"
        raise TaskError(f"view is {config.view!r}, which the prompt can't show", where=config.name, hint=hint)


def _ways(slot: TemplateSlot) -> tuple[str, ...]:
    return ENTITIES[slot.name].ways
