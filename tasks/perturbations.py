"""Changes of an input that should not change a prediction, to measure how much they do.

    smiles order    another order of the atoms in the SMILES: the same molecule
    counter-ion     hydrochloride added to a molecule of one fragment: its salt
    salt stripped   only the largest organic fragment
    neutral         charges removed by adding or removing protons, where possible
    deprotonated    the proton of the most acidic group removed, of molecules with an acid
    protonated      a proton added to the first basic group
    tautomer        RDKit's canonical tautomer
    another tautomer    the tautomer with RDKit's highest score of all others
    carbon-13       the first carbon without an isotope as carbon-13
    isotopes removed    no isotopes
    stereo removed  neither stereocentres nor configurations of double bonds
    swapped         the two sides of a pair of the same entity, if the prompt reads nothing else
    reverse complement    the other strand of DNA, variants in place included: all columns at once

Standardisation is done with RDKit's `MolStandardize` (`mammal.tasks.molecules.policy`). Acids and bases are the
negative and positive ionisable groups of RDKit's `BaseFeatures.fdef`. Every function returns the changed text, or None
if there is nothing to change (no salt to strip, no charge), so that the share of changed rows can be reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.molecules.chemistry import canonical_or_none, parse_smiles
from mammal.tasks.molecules.policy import CHANGED, MOST_TAUTOMER_ATOMS, STEPS, tautomers
from mammal.tasks.prompts.columns import equal_sides
from mammal.tasks.tables.cells import Row, as_text, is_missing
from mammal.tasks.views.dna import cropped
from mammal.tokenization.errors import MammalError
from mammal.tokenization.strands import reverse_complement_in_place

if TYPE_CHECKING:
    from mammal.tasks.task import Task

Perturbation = Callable[[Row], "Mapping[str, Any] | None"]
"""A row -> the changed row, None if nothing changed."""


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
    return _after("salts", smiles)


def neutral(smiles: str) -> str | None:
    return _after("charges", smiles)


def without_isotopes(smiles: str) -> str | None:
    return _after("isotopes", smiles)


def without_stereo(smiles: str) -> str | None:
    return _after("stereo", smiles)


def canonical_tautomer(smiles: str) -> str | None:
    return _after("tautomers", smiles)


@lru_cache(maxsize=1 << 14)
def another_tautomer(smiles: str) -> str | None:
    """Returns the tautomer with RDKit's highest score among those that are not the molecule as it is written.

    Args:
        smiles: the molecule. At most `mammal.tasks.molecules.policy.MOST_TAUTOMERS` tautomers are compared.
    """
    return _changed(smiles, _best_other_tautomer)


@lru_cache(maxsize=1 << 14)
def deprotonated(smiles: str) -> str | None:
    """Returns a molecule with an acidic group without its most acidic proton; None for other molecules and for salts.

    RDKit's Reionizer balances the charge of an added sodium ion with a proton of the most acidic group that it knows.

    Args:
        smiles: the molecule.
    """
    return None if "." in smiles else _changed(smiles, _anion)


@lru_cache(maxsize=1 << 14)
def protonated(smiles: str) -> str | None:
    """Returns a molecule with a proton at its first basic nitrogen; None for other molecules and for salts.

    Args:
        smiles: the molecule.
    """
    return None if "." in smiles else _changed(smiles, _cation)


def with_carbon_13(smiles: str) -> str | None:
    return _changed(smiles, _labelled)


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
    "deprotonated": deprotonated,
    "protonated": protonated,
    "tautomer": canonical_tautomer,
    "another tautomer": another_tautomer,
    "carbon-13": with_carbon_13,
    "isotopes removed": without_isotopes,
    "stereo removed": without_stereo,
}


def _after(step: str, smiles: str) -> str | None:
    """The molecule after one step of a policy; None if the step fails or changes nothing."""
    canonical = canonical_or_none(smiles)
    said = None if canonical is None else STEPS[step](canonical)
    return said.text if said is not None and said.changes == CHANGED[step] else None


def _changed(smiles: str, change: Callable[[Any], Any | None]) -> str | None:
    """The SMILES of what a function makes of a molecule; None if it fails or changes nothing."""
    from rdkit import Chem, rdBase

    molecule = parse_smiles(smiles)
    if molecule is None:
        return None
    with rdBase.BlockLogs():
        try:
            changed = change(molecule)
        except (ValueError, RuntimeError):  # RDKit raises these for a molecule that a step can't process
            return None
        written = "" if changed is None else str(Chem.MolToSmiles(changed))
    return None if not written or written == canonical_or_none(smiles) else written


def _best_other_tautomer(molecule: Any) -> Any | None:
    from rdkit import Chem

    if molecule.GetNumHeavyAtoms() > MOST_TAUTOMER_ATOMS:
        return None
    enumerator, found, _ = tautomers(molecule)
    own = Chem.MolToSmiles(molecule)
    return max((one for one in found if Chem.MolToSmiles(one) != own), key=enumerator.ScoreTautomer, default=None)


def _anion(molecule: Any) -> Any | None:
    from rdkit import Chem
    from rdkit.Chem.MolStandardize import rdMolStandardize

    if not _ionisable(molecule, "NegIonizable"):
        return None
    salt = rdMolStandardize.Reionizer().reionize(Chem.CombineMols(molecule, Chem.MolFromSmiles("[Na]")))
    rest = Chem.GetMolFrags(salt, asMols=True)[0]  # fragments are in the order of their atoms, and sodium is the last
    return rest if Chem.GetFormalCharge(rest) < Chem.GetFormalCharge(molecule) else None


def _cation(molecule: Any) -> Any | None:
    from rdkit import Chem

    bases = [molecule.GetAtomWithIdx(i) for i in _ionisable(molecule, "PosIonizable")]
    nitrogens = [atom for atom in bases if atom.GetSymbol() == "N" and atom.GetFormalCharge() == 0]
    if not nitrogens:
        return None
    double = Chem.BondType.DOUBLE  # amidines and guanidines take the proton there
    base = min(nitrogens, key=lambda atom: all(bond.GetBondType() != double for bond in atom.GetBonds()))
    base.SetNumExplicitHs(base.GetTotalNumHs() + 1)
    base.SetFormalCharge(1)
    Chem.SanitizeMol(molecule)
    return molecule


def _ionisable(molecule: Any, family: str) -> list[int]:
    """Atoms of the ionisable groups of a molecule."""
    return [i for found in _features().GetFeaturesForMol(molecule, includeOnly=family) for i in found.GetAtomIds()]


@cache
def _features() -> Any:
    from rdkit import RDConfig
    from rdkit.Chem import ChemicalFeatures

    return ChemicalFeatures.BuildFeatureFactory(str(Path(RDConfig.RDDataDir) / "BaseFeatures.fdef"))


def _labelled(molecule: Any) -> Any | None:
    carbon = next((atom for atom in molecule.GetAtoms() if atom.GetSymbol() == "C" and not atom.GetIsotope()), None)
    if carbon is None:
        return None
    carbon.SetIsotope(13)
    return molecule


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
