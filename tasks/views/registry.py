"""The table of all views, which `views` of a task declaration refers to by name.

A view converts the text of a column to the text that the prompt shows, or returns None if there is nothing to show. It
applies to every slot that can be written as its entity: `random_smiles` to `{s:smiles}` and to `{mol:molecule}`. If an
entity can be written in several forms (as SMILES or IUPAC name), each form has its own column.

Every entity also has a view that shows the text unchanged. Its name is that of the entity, unless the table has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.tasks.errors import TaskError
from mammal.tasks.views import dna, molecules
from mammal.tokenization import strands, variants
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class View:
    """One form in which the content of a column can be shown.

    Attributes:
        name: name in declarations.
        written_as: the entity of its text.
        write: function from the column's text to the shown text, None if there is nothing to show; None: the text is
            shown unchanged.
        draw: the same function for a random view, with a random state; such a view is not shown outside training
            unless it is requested or the only one.
    """

    name: str
    written_as: str
    write: Callable[[str], str | None] | None = None
    draw: Callable[[str, np.random.Generator], str | None] | None = None

    @property
    def is_drawn(self) -> bool:
        return self.draw is not None

    @property
    def is_unchanged(self) -> bool:
        """Whether it shows the text as it is."""
        return self.write is None and self.draw is None

    def text(self, text: str, rng: np.random.Generator | None = None) -> str | None:
        """Returns the text to show.

        Args:
            text: text of the column.
            rng: random state, for a random view; default: seeded by the text.
        """
        if self.draw is not None:
            return self.draw(text, rng or _seeded_by(text))
        return self.write(text) if self.write is not None else text


def _seeded_by(text: str) -> np.random.Generator:
    from zlib import crc32

    import numpy as np

    return np.random.default_rng(crc32(text.encode()))


_VIEWS = (
    View("random_smiles", "smiles", draw=molecules.random_smiles),
    View("in_place", "dna"),
    View("reference", "dna", variants.reference),
    View("alternate", "dna", variants.alternate),
    View("random_site", "dna", dna.random_site),
    View("reverse_complement", "dna", strands.reverse_complement_in_place),
)


def views_of(entity: str) -> dict[str, View]:
    """Returns the views of an entity by name. For each form, the first one shows the text unchanged."""
    return {view.name: view for way in ENTITIES[entity].ways for view in _views_as(way)}


def _views_as(way: str) -> list[View]:
    """The views that show text of an entity, first the one that shows it unchanged."""
    listed = [view for view in _VIEWS if view.written_as == way]
    unchanged = [view for view in listed if view.is_unchanged] or [View(way, way)]
    return [*unchanged, *(view for view in listed if not view.is_unchanged)]


def find_view(entity: str, name: str, where: str) -> View:
    """Returns a view of an entity by name.

    Args:
        entity: name of the entity.
        name: name of the view.
        where: the key of the declaration, for the error message.

    Raises:
        TaskError: the entity has no such view.
    """
    known = views_of(entity)
    if name not in known:
        hint = did_you_mean(name, known, noun="view")
        raise TaskError(f"'{entity}' has no view {name!r}", where=where, hint=hint)
    return known[name]
