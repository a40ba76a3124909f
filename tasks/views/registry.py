"""The ways in which what a column holds can be shown: one table, which `views` of a task declaration names.

A view serves the slots of one entity. It reads the slot's column (of an entity that may be written in several ways: the
column of the way it is written in) and gives the text that the prompt shows, or None where it has nothing to show.
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
    """One way to show what a column holds.

    Attributes:
        name: as declarations write it.
        serves: the entity whose slots it may fill.
        written_as: the entity that its text is; the served one, or one that it may be written as.
        write: the column's text -> the text to show, None where there is none; None: the text as it is.
        draw: the same of a view that chance has a part in, from a seeded generator; never shown outside training unless
            it is asked for or the only one.
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
        """What it shows of a column's text. Without a generator, a drawn view is drawn from one that the text seeds."""
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
    """Every view of an entity by name, first the one that shows the text as it is, the only one of many entities."""
    served = {view.name: view for view in _VIEWS if view.serves == entity}
    return served or {way: View(way, entity, way) for way in ENTITIES[entity].ways}


def find_view(entity: str, name: str, where: str) -> View:
    """One view of an entity.

    Raises:
        TaskError: it has no such view.
    """
    known = views_of(entity)
    if name not in known:
        hint = did_you_mean(name, known, noun="view")
        raise TaskError(f"'{entity}' has no view {name!r}", where=where, hint=hint)
    return known[name]
