"""Changes of an input that should not change a prediction, to measure how much they do.

    smiles order    another order of the atoms in the SMILES: the same molecule
    counter-ion     hydrochloride added to a molecule of one fragment: its salt
    salt stripped   only the largest fragment
    neutral         charges removed by adding or removing protons, where possible
    tautomer        RDKit's canonical tautomer
    swapped         the two sides of a pair of the same entity, if the prompt reads nothing else
    reverse complement    the other strand of DNA, variants in place included: all columns at once

Standardisation is done with RDKit's `MolStandardize`. Every function returns the changed text, or None if there is
nothing to change (no salt to strip, no charge), so that the share of changed rows can be reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from mammal.tasks.molecules.chemistry import canonical_or_none, parse_smiles
from mammal.tasks.prompts.columns import equal_sides
from mammal.tasks.tables.cells import Row, as_text, is_missing
from mammal.tasks.views.dna import cropped
from mammal.tokenization.errors import MammalError
from mammal.tokenization.strands import reverse_complement_in_place

if TYPE_CHECKING:
    from mammal.tasks.task import Task

Perturbation = Callable[[Row], "Mapping[str, Any] | None"]
"""A row -> the changed row, None if nothing changed."""

MOST_TAUTOMERS = 200
"""Maximum number of tautomers that RDKit enumerates before it selects one; its default of 1,000 is slow."""


def perturbations(task: Task) -> dict[str, Perturbation]:
    """Returns the changes that apply to the inputs of a task, by name.

    The result is empty for a task without molecules, DNA, or a pair of the same entity.
    """
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
    """Returns a SMILES of the same molecule with another order of atoms.

    Args:
        smiles: the molecule.
        seed: seed of the random order.
    """
    from rdkit import Chem

    molecule = parse_smiles(smiles)
    if molecule is None or molecule.GetNumAtoms() < 2:
        return None
    written = Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=seed + 1)[0]
    return str(written) if written != smiles else None


def with_counter_ion(smiles: str) -> str | None:
    return None if "." in smiles or parse_smiles(smiles) is None else f"{smiles}.Cl"


def largest_fragment(smiles: str) -> str | None:
    return _standardised(smiles, "fragment") if "." in smiles else None


def neutral(smiles: str) -> str | None:
    return _standardised(smiles, "charge") if "+" in smiles or "-]" in smiles else None


def canonical_tautomer(smiles: str) -> str | None:
    return _standardised(smiles, "tautomer")


def other_strand(task: Task, text: str) -> str | None:
    """Returns the other strand of exactly the window of a text that the task reads."""
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
    """The molecule after one step of RDKit's MolStandardize; None if the step fails or changes nothing."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.MolStandardize import rdMolStandardize

    molecule = parse_smiles(smiles)
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
        except (ValueError, RuntimeError):  # RDKit raises these for a molecule that a step can't process
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
