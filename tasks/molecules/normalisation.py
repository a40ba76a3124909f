"""One spelling for groups that SMILES write with or without separated charges: `C[S+](C)[O-]` becomes `CS(C)=O`.

RDKit's Normalizer (its default transformations: nitro groups, azides, N-oxides, charges that recombine) comes first.
It writes sulfoxides with charges and leaves the oxides of phosphorus and selenium as they are. A second Normalizer with
the rules below then writes the elements of rows 3 to 5 without charges, as nearly all data sets, OPSIN and InChI do.
Azides and diazo groups get the form that RDKit's parser gives their uncharged spelling.

    sulfoxide, sulfone        C[S+](C)[O-]         CS(C)=O         selenium and tellurium likewise
    phosphine oxide           C[P+](C)(C)[O-]      CP(C)(C)=O      phosphates, sulfides, arsine oxides likewise
    sulfilimine, ylide        C[S+](C)[N-]C        CN=S(C)C
    azide, diazo              C[N-][N+]#N          CN=[N+]=[N-]
    nitro, N-oxide            CN(=O)=O             C[N+](=O)[O-]   by RDKit's parser
    amide                     CC(=[NH2+])[O-]      CC(N)=O         by RDKit's Normalizer

Salts, acids and bases, tautomers, stereo marks and isotopes stay as they are.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

_RULES = """// name\tSMIRKS
Two oxides\t[S,Se,Te;+2:1]([O,S,Se,Te;-1:2])[O,S,Se,Te;-1:3]>>[*+0:1](=[*+0:2])=[*+0:3]
Oxide or sulfide\t[P,As,S,Se,Te;+1:1]-[O,S,Se,Te;-1:2]>>[*+0:1]=[*+0:2]
Imide or ylide\t[P,As,S,Se,Te;+1:1]-[N,C;-1:2]>>[*+0:1]=[*+0:2]
Azide\t[#6:1][N-:2]-[N+:3]#[N:4]>>[*:1][N+0:2]=[N+:3]=[N-:4]
Diazo\t[C-:1]-[N+:2]#[N:3]>>[C+0:1]=[N+:2]=[N-:3]
"""


def normalised(canonical: str) -> str:
    """The canonical SMILES of a molecule's normalised form.

    Args:
        canonical: RDKit's canonical SMILES. Without a positive charge it has no separated charges and is returned.

    Returns:
        A canonical SMILES; the given one if RDKit can't apply its transformations to the molecule.
    """
    return _without_separated_charges(canonical) if "+" in canonical else canonical


def forget_normalised() -> None:
    """Empties the memory of molecules that were normalised."""
    _without_separated_charges.cache_clear()


@lru_cache(maxsize=1 << 17)
def _without_separated_charges(canonical: str) -> str:
    from rdkit import Chem, rdBase

    first, second = _normalizers()
    with rdBase.BlockLogs():
        try:
            molecule = first.normalize(Chem.MolFromSmiles(canonical))
            Chem.Kekulize(molecule, clearAromaticFlags=True)  # [s+] of a thiophene oxide is an atom of the rules, too
            written = Chem.MolToSmiles(second.normalize(molecule))
            again = Chem.MolFromSmiles(written)  # aromaticity is perceived again
        except (ValueError, RuntimeError):
            return canonical
        return canonical if again is None else str(Chem.MolToSmiles(again))


@cache
def _normalizers() -> tuple[Any, Any]:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.Normalizer(), rdMolStandardize.NormalizerFromData(
        _RULES, rdMolStandardize.CleanupParameters()
    )
