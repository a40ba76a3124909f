"""The same input written in another way: changes that should not move a prediction, to see how far they do.

    smiles order    another order of the atoms in the SMILES: the same molecule
    counter-ion     hydrochloride added to a molecule of one fragment: its salt
    salt stripped   the largest fragment alone
    neutral         charges taken off where protons can do it
    tautomer        RDKit's canonical tautomer
    swapped         the two sides of a pair of the same entity, where the prompt reads nothing else
    reverse complement    DNA read from the other strand, variants in place with it: all columns at once

Standardisation is RDKit's `MolStandardize`. Every function gives the changed text, or None where there is nothing to
change (no salt to strip, no charge), so that a share of changed rows can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from mammal.tasks.molecules.chemistry import canonical_or_none, parse
from mammal.tasks.prompts.columns import equal_sides
from mammal.tasks.tables.cells import Row, as_text, is_missing
from mammal.tasks.views.dna import cropped
from mammal.tokenization.errors import MammalError
from mammal.tokenization.strands import reverse_complement_in_place

if TYPE_CHECKING:
    from mammal.tasks.task import Task

Perturbation = Callable[[Row], "Mapping[str, Any] | None"]
"""A row -> the changed row, None where nothing changed."""

MOST_TAUTOMERS = 200
"""Tautomers that RDKit lists for a molecule before it takes the best of them; its default of 1,000 is slow."""


def perturbations(task: Task) -> dict[str, Perturbation]:
    """The changes that apply to what a task reads, by name; none for a task without molecules or equal sides."""
    aliases = task.aliases
    molecules = [column for group in task.needed for column in group if column in task.molecules]
    found = {name: _on_columns(molecules, change, aliases) for name, change in _CHANGES.items()} if molecules else {}
    if task.dna:
        found["reverse complement"] = _on_columns(sorted(task.dna), partial(other_strand, task), aliases)
    pair = equal_sides(task.template)
    if pair and {*pair} <= {*task.columns}:
        found["swapped"] = _swap(*pair, aliases)
    return found


def another_order(smiles: str, seed: int = 0) -> str | None:
    """A SMILES of the same molecule that starts and branches elsewhere."""
    from rdkit import Chem

    molecule = parse(smiles)
    if molecule is None or molecule.GetNumAtoms() < 2:
        return None
    written = Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=seed + 1)[0]
    return str(written) if written != smiles else None


def with_counter_ion(smiles: str) -> str | None:
    return None if "." in smiles or parse(smiles) is None else f"{smiles}.Cl"


def largest_fragment(smiles: str) -> str | None:
    return _standardised(smiles, "fragment") if "." in smiles else None


def neutral(smiles: str) -> str | None:
    return _standardised(smiles, "charge") if "+" in smiles or "-]" in smiles else None


def canonical_tautomer(smiles: str) -> str | None:
    return _standardised(smiles, "tautomer")


def other_strand(task: Task, text: str) -> str | None:
    """The same stretch of DNA from the other strand: what the task reads of a text, no other window of it."""
    data = task.config.data
    try:
        read = text if data.window is None else cropped(text, data.window, data.window_shift)
        other = reverse_complement_in_place(read)
    except MammalError:
        return None
    return other if other != read else None


_CHANGES: dict[str, Callable[[str], str | None]] = {
    "smiles order": another_order,
    "counter-ion": with_counter_ion,
    "salt stripped": largest_fragment,
    "neutral": neutral,
    "tautomer": canonical_tautomer,
}


@lru_cache(maxsize=1 << 14)
def _standardised(smiles: str, how: str) -> str | None:
    """The molecule after one step of RDKit's MolStandardize; None where the step fails or changes nothing."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.MolStandardize import rdMolStandardize

    molecule = parse(smiles)
    if molecule is None:
        return None
    with rdBase.BlockLogs():
        try:
            if how == "fragment":
                changed = rdMolStandardize.LargestFragmentChooser().choose(molecule)
            elif how == "charge":
                changed = rdMolStandardize.Uncharger().uncharge(molecule)
            else:
                lister = rdMolStandardize.TautomerEnumerator()
                lister.SetMaxTautomers(MOST_TAUTOMERS)
                changed = lister.Canonicalize(molecule)
        except (ValueError, RuntimeError):  # RDKit's words for a molecule that a step can't treat
            return None
        written = Chem.MolToSmiles(changed)
    return None if not written or written == canonical_or_none(smiles) else written


def _on_columns(columns: list[str], change: Callable[[str], str | None], aliases: Mapping[str, str]) -> Perturbation:
    def changed(row: Row) -> dict[str, Any] | None:
        new = {}
        for column in columns:
            name = column if column in row else aliases.get(column, column)
            value = row.get(name)
            if not is_missing(value) and (other := change(as_text(value))) is not None:
                new[name] = other
        return {**row, **new} if new else None

    return changed


def _swap(first: str, second: str, aliases: Mapping[str, str]) -> Perturbation:
    def swapped(row: Row) -> dict[str, Any] | None:
        one, two = (column if column in row else aliases.get(column, column) for column in (first, second))
        if one not in row or two not in row or row[one] == row[two]:
            return None
        return {**row, one: row[two], two: row[one]}

    return swapped
