"""The policy by which a task standardises molecules, and its steps with RDKit's MolStandardize.

    standardise: {salts: parent, charges: neutral, isotopes: remove, stereo: remove, tautomers: canonical}

    salts        parent      only the largest organic fragment (`LargestFragmentChooser`), after large counter-ions of
                             drugs are removed (`COUNTER_IONS`)
    charges      neutral     charges removed by adding or removing protons, where possible (`Uncharger`)
    isotopes     remove      no isotopes (`IsotopeParent`)
    stereo       remove      neither stereocentres nor configurations of double bonds (`StereoParent`)
    tautomers    canonical   the tautomer with RDKit's highest score (`TautomerEnumerator`)

A step that is `keep`, the default, is left out. The steps are done in this order, that of RDKit's `SuperParent`. All of
them begin with the normalised form (`mammal.tasks.molecules.normalisation`), which is the result if all are `keep`.
The number of tautomers is limited. A molecule with more of them keeps its tautomer, and the answer reports that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from mammal.tasks.molecules.normalisation import normalised

KEEP = "keep"

POLICY_VALUES = {
    "salts": (KEEP, "parent"),
    "charges": (KEEP, "neutral"),
    "isotopes": (KEEP, "remove"),
    "stereo": (KEEP, "remove"),
    "tautomers": (KEEP, "canonical"),
}
"""Key of a policy -> its values, the default first. The steps are done in this order."""

CHANGED = {
    "salts": "salt removed",
    "charges": "charge neutralised",
    "isotopes": "isotopes removed",
    "stereo": "stereo removed",
    "tautomers": "tautomer changed",
}
"""Key of a policy -> what is reported of a molecule that its step changes."""

NORMALISED = "groups normalised"
"""What is reported of a molecule with groups that normalisation writes in another way."""

LIMIT_REACHED = "tautomer kept (limit reached)"
"""What is reported of a molecule with more tautomers than are enumerated."""

MOST_TAUTOMERS = 200
"""Maximum number of tautomers that RDKit enumerates before it selects one; its default of 1,000 is slow."""

MOST_TRANSFORMS = 1_000
"""Maximum number of transformations that RDKit tries for the tautomers of a molecule; its default."""

MOST_TAUTOMER_ATOMS = 200
"""Heavy atoms of the largest molecule of which tautomers are enumerated; the time for each grows with its size."""

COUNTER_IONS = {
    "embonate": "O=C(O)c1cc2ccccc2c(Cc2c(O)c(C(=O)O)cc3ccccc23)c1O",
    "fendizoate": "O=C(O)c1ccccc1C(=O)c1ccc(-c2ccccc2)cc1O",
    "hibenzate": "O=C(O)c1ccccc1C(=O)c1ccc(O)cc1",
    "xinafoate": "O=C(O)c1ccc2ccccc2c1O",
    "3-hydroxy-2-naphthoate": "O=C(O)c1cc2ccccc2cc1O",
    "napadisilate": "O=S(=O)(O)c1cccc2c1cccc2S(=O)(=O)O",
    "laurilsulfate": "CCCCCCCCCCCCOS(=O)(=O)O",
    "lactobionate": "OCC(O)C(OC1OC(CO)C(O)C(O)C1O)C(O)C(O)C(=O)O",
    "tetraphenylborate": "[B](c1ccccc1)(c1ccccc1)(c1ccccc1)c1ccccc1",
}
"""Counter-ions that can be larger than the drug, by their international non-proprietary names (WHO) -> SMARTS.

RDKit (2026.09.1) takes the largest fragment as the parent and knows none of these: pyrantel embonate would be read as
embonic acid (`findings/rdkit_parent_embonate.sh`). If nothing organic is next to them, they are kept.
"""

CARBON = 6
"""Atomic number."""

_ISOTOPE, _STEREO, _CHARGE = re.compile(r"\[\d"), re.compile(r"[@/\\]"), re.compile(r"\[[^\]]*[+-]")


class Standardised(NamedTuple):
    """A molecule as a model reads it.

    Attributes:
        text: the SMILES.
        changes: what differs from the molecule as given, separated by `; `; empty if nothing does. Another order of the
            atoms is not a difference.
    """

    text: str
    changes: str = ""


@dataclass(frozen=True)
class Policy:
    """How a task standardises molecules: a value of `POLICY_VALUES` for each key."""

    salts: str = KEEP
    charges: str = KEEP
    isotopes: str = KEEP
    stereo: str = KEEP
    tautomers: str = KEEP

    @property
    def steps(self) -> list[str]:
        """Keys of the steps that change molecules, in the order in which they are done."""
        return [key for key, value in asdict(self).items() if value != KEEP]


Standard = str | Policy
"""A policy, or the name of one without steps: `off`, `check`, `canonical` or `normalised`."""


def standard_of(declared: str | Mapping[str, str]) -> Standard:
    """Returns the policy of a checked declaration.

    Args:
        declared: value of the key `standardise`.
    """
    return declared if isinstance(declared, str) else Policy(**declared)


def normalises(declared: str | Mapping[str, str]) -> bool:
    """Whether a value of the key `standardise` writes one spelling of groups with separated charges."""
    return declared == "normalised" or not isinstance(declared, str)


def policy_words(declared: str | Mapping[str, str]) -> str:
    """Returns a value of the key `standardise` as text, such as `normalised, salts: parent`."""
    if isinstance(declared, str):
        return declared
    return ", ".join(["normalised", *(f"{key}: {declared[key]}" for key in Policy(**declared).steps)])


@lru_cache(maxsize=1 << 17)
def standard_form(canonical: str, policy: Policy) -> Standardised:
    """Applies the steps of a policy to a molecule.

    Args:
        canonical: RDKit's canonical SMILES.
        policy: the policy.

    Returns:
        A canonical SMILES, and what was changed. A step that RDKit can't do is left out and reported.
    """
    text = normalised(canonical)
    changes = [NORMALISED] if text != canonical else []
    for key in policy.steps:
        said = STEPS[key](text)
        changes += [said.changes] if said.changes else []
        text = said.text
    return Standardised(normalised(text), "; ".join(changes))


def tautomers(molecule: Any) -> tuple[Any, Any, bool]:
    """Enumerates the tautomers of a molecule within the limits; stereo stays as it is.

    Args:
        molecule: an RDKit molecule with at most `MOST_TAUTOMER_ATOMS` heavy atoms.

    Returns:
        RDKit's enumerator, its result, and whether the result has all tautomers.
    """
    from rdkit.Chem.MolStandardize import rdMolStandardize

    enumerator = _enumerator()
    found = enumerator.Enumerate(molecule)
    return enumerator, found, found.status == rdMolStandardize.TautomerEnumeratorStatus.Completed


def _parent(molecule: Any) -> Any:
    others = _counter_ions().StripMol(molecule, dontRemoveEverything=True)
    is_organic = any(atom.GetAtomicNum() == CARBON for atom in others.GetAtoms())
    return _largest_fragment().choose(others if is_organic else molecule)


def _uncharged(molecule: Any) -> Any:
    return _uncharger().uncharge(molecule)


def _without_isotopes(molecule: Any) -> Any:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.IsotopeParent(molecule, skipStandardize=True)


def _without_stereo(molecule: Any) -> Any:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.StereoParent(molecule, skipStandardize=True)


def _canonical_tautomer(molecule: Any) -> Any | None:
    """RDKit's canonical tautomer; None if there are too many tautomers to find it."""
    if molecule.GetNumHeavyAtoms() > MOST_TAUTOMER_ATOMS:
        return None
    enumerator, found, complete = tautomers(molecule)
    return enumerator.PickCanonical(found) if complete else None


def _step(key: str, change: Callable[[Any], Any | None], applies: Callable[[str], object]) -> Step:
    def step(smiles: str) -> Standardised:
        from rdkit import Chem, rdBase

        if not applies(smiles):
            return Standardised(smiles)
        with rdBase.BlockLogs():
            try:
                changed = change(Chem.MolFromSmiles(smiles))
                if changed is None:
                    return Standardised(smiles, LIMIT_REACHED)
                again = Chem.MolFromSmiles(Chem.MolToSmiles(changed))  # aromaticity and stereo are perceived again
            except (ValueError, RuntimeError):  # RDKit raises these for a molecule that a step can't process
                again = None
            if again is None:
                return Standardised(smiles, f"{key} kept (RDKit can't process them)")
            written = str(Chem.MolToSmiles(again))
        return Standardised(written, CHANGED[key]) if written and written != smiles else Standardised(smiles)

    return step


def _anything(smiles: str) -> bool:
    return True


Step = Callable[[str], Standardised]
"""Changes a canonical SMILES, and reports what it changed."""

STEPS: dict[str, Step] = {
    "salts": _step("salts", _parent, lambda smiles: "." in smiles),
    "charges": _step("charges", _uncharged, _CHARGE.search),
    "isotopes": _step("isotopes", _without_isotopes, _ISOTOPE.search),
    "stereo": _step("stereo", _without_stereo, _STEREO.search),
    "tautomers": _step("tautomers", _canonical_tautomer, _anything),
}


@cache
def _counter_ions() -> Any:
    from rdkit.Chem.SaltRemover import SaltRemover

    return SaltRemover(defnData="\n".join(f"{smarts}\t{name}" for name, smarts in COUNTER_IONS.items()))


@cache
def _largest_fragment() -> Any:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.LargestFragmentChooser(preferOrganic=True)


@cache
def _uncharger() -> Any:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.Uncharger()


@cache
def _enumerator() -> Any:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    enumerator = rdMolStandardize.TautomerEnumerator()
    enumerator.SetMaxTautomers(MOST_TAUTOMERS)
    enumerator.SetMaxTransforms(MOST_TRANSFORMS)
    enumerator.SetRemoveSp3Stereo(False)
    enumerator.SetRemoveBondStereo(False)
    return enumerator
