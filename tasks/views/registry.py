"""The table of all views, which `views` of a task declaration refers to by name.

A view applies to slots of one entity. It converts the text of the slot's column to the text that the prompt shows, or
returns None if there is nothing to show. If an entity can be written in several forms (as SMILES or IUPAC name), each
form has its own column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.views import dna, molecules
from mammal.tokenization import strands, variants
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import did_you_mean


@dataclass(frozen=True)
class View:
    """One form in which the content of a column can be shown.

    Attributes:
        name: name in declarations.
        serves: the entity of the slots to which it applies.
        written_as: the entity of its text: `serves` itself, or a form of it.
        write: function from the column's text to the shown text, None if there is nothing to show; None: the text is
            shown unchanged.
        draw: the same function for a random view, with a random state; such a view is not shown outside training
            unless it is requested or the only one.
    """

    name: str
    serves: str
    written_as: str
    write: Callable[[str], str | None] | None = None
    draw: Callable[[str, np.random.Generator], str | None] | None = None

    @property
    def is_drawn(self) -> bool:
        return self.draw is not None

    def text(self, text: str, rng: np.random.Generator | None = None) -> str | None:
        """Returns the text to show.

        Args:
            text: text of the column.
            rng: random state, for a random view; default: seeded by the text.
        """
        if self.draw is not None:
            return self.draw(text, rng or np.random.default_rng(crc32(text.encode())))
        return self.write(text) if self.write is not None else text


_VIEWS = (
    View("smiles", "smiles", "smiles"),
    View("random_smiles", "smiles", "smiles", draw=molecules.random_smiles),
    View("smiles", "molecule", "smiles"),
    View("random_smiles", "molecule", "smiles", draw=molecules.random_smiles),
    View("iupac", "molecule", "iupac"),
    View("in_place", "dna", "dna"),
    View("reference", "dna", "dna", variants.reference),
    View("alternate", "dna", "dna", variants.alternate),
    View("random_site", "dna", "dna", dna.random_site),
    View("reverse_complement", "dna", "dna", strands.reverse_complement_in_place),
)


def views_of(entity: str) -> dict[str, View]:
    """Returns the views of an entity by name, first the one that shows the text unchanged; many have only that one."""
    served = {view.name: view for view in _VIEWS if view.serves == entity}
    return served or {way: View(way, entity, way) for way in ENTITIES[entity].ways}


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
