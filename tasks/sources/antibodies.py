"""`source: antibodies`: heavy chains with a hidden loop, and light chains, from local copies below `paths.data`.

    chains   sequence id             heavy and light chains of SAbDab and CoV-AbDab, to learn from before cdr_h3
    cdr_h3   heavy cdr_h3 id split   CDR-H3 to be filled in; published valid and test (Jin et al. 2022, RefineGNN)
    pairs    heavy light cdr_h3      antibodies against coronaviruses (Raybould et al. 2021, CoV-AbDab)

Pairs are those of which both variable domains are known, each once; `cdr_h3` is the database's, by which to split:
antibodies of one lineage share it.

`heavy` is the variable domain with a mark, `_`, for each residue of CDR-H3 (`mammal.tasks.infilling`); `cdr_h3` is what
is hidden. Constant domains, and domains fused in front, are left out in all parts alike.

The published training part can't be had from a public repository, so what is trained on are the heavy chains of SAbDab
(Dunbar et al. 2014) and CoV-AbDab (Raybould et al. 2021), each different domain once, CDR-H3 located by the rule of
`mammal.tasks.sequences.antibodies`: 5,763 of them, 431 with the very CDR-H3 of a valid or test row. The published
parts were made by clustering CDR-H3 at 40 % sequence identity with MMseqs2, so a training chain is left out if its
CDR-H3 is at least `data.identity` alike to one of valid or test. Likeness is 1 - edits / length of the longer one
(Levenshtein), which is lower than an identity over aligned stretches: between the published valid and test parts it is
0.54 at the median, and 0.6 or more for three valid rows in ten. At 0.6, the task's, 3,672 domains are left; at 0.5
they are 1,518. `chains` are those of the same file, light ones among them, by the same rule, and without those that
hold a whole domain of valid or test: of 9,396 that leaves 6,906. Of all of them
316 of the 437 test domains could be learned by heart. Test has 437 rows and 257 different CDR-H3, valid 403 and 252;
they are left as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.infilling.marks import MARK, filled
from mammal.tasks.sequences.antibodies import cdr_h3, variable_domain
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name, limited
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

REFINEGNN = "github.com/wengong-jin/RefineGNN, data/"
CHAINS = (
    "github.com/kalininalab/DataSAIL (vh.fasta of SAbDab) and github.com/wengong-jin/RefineGNN (CoV-AbDab), as FASTA"
)
COVABDAB = "github.com/wengong-jin/RefineGNN, data/covabdab/"
COVABDAB_FILE = "antibody_covabdab/CoV-AbDab_050821.csv.gz"
SHORTEST = 80
"""Residues of a variable domain at least; the database has "ND" where a chain is not known."""
LIGHT = "|VL"
"""How the headers of light chains end."""
H3 = "3"
"""How RefineGNN's masks mark residues of CDR-H3."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy.
    """
    import pandas as pd

    name = known_name(data.name, ("chains", "cdr_h3", "pairs"), "antibodies")
    if name == "pairs":
        return limited(_pairs(root), data.limit)
    published = [_marked(part, name, root) for part, name in (("valid", "val"), ("test", "test"))]
    held_out = [loop for frame in published for loop in frame["cdr_h3"]]
    if name == "chains":
        return limited(_unlike(_chains(root), pd.concat(published), data.identity), data.limit)
    train = _located(root)
    alike = _alike(train["cdr_h3"].tolist(), held_out, data.identity)
    train = train[[not one for one in alike]]
    return limited(pd.concat([train, *published], ignore_index=True), data.limit)


def _pairs(root: Path | None) -> pd.DataFrame:
    rows = read_table(local_copy(COVABDAB_FILE, root, COVABDAB))
    columns = {"VH or VHH": "heavy", "VL": "light", "CDRH3": "cdr_h3"}
    chains = rows[list(columns)].rename(columns=columns).apply(lambda cells: cells.str.strip())
    written = chains.apply(lambda cells: cells.str.fullmatch("[A-Z]+")).all(axis=1)
    long = (chains[["heavy", "light"]].map(len) > SHORTEST).all(axis=1)
    return chains[written & long].drop_duplicates(["heavy", "light"], ignore_index=True)


def _marked(part: str, name: str, root: Path | None) -> pd.DataFrame:
    """A published part, whose file marks each residue's CDR."""
    rows = read_table(local_copy(f"antibody_cdr_refinegnn/hcdr3_{name}.csv.gz", root, REFINEGNN))
    ends = [(mask.find(H3), mask.rfind(H3) + 1) for mask in rows["cdr"].astype(str)]
    return _rows(zip(rows["pdb"], rows["seq"], ends, strict=True), part)


def _chains(root: Path | None) -> pd.DataFrame:
    """Columns `id`, `description`, `sequence`."""
    return read_table(local_copy("pretrain_proteins/antibodies_sabdab_covabdab.fasta.gz", root, CHAINS))


def _unlike(chains: pd.DataFrame, published: pd.DataFrame, identity: float) -> pd.DataFrame:
    """Chains that tell nothing of what is held out: neither a CDR-H3 alike to one of it, nor a whole domain of it."""
    ends = [cdr_h3(chain) for chain in chains["sequence"]]
    loops = [chain[slice(*found)] if found else "" for chain, found in zip(chains["sequence"], ends, strict=True)]
    alike = _alike(loops, published["cdr_h3"].tolist(), identity)
    pairs = zip(published["heavy"], published["cdr_h3"], strict=True)
    domains = {filled(heavy, [loop]) for heavy, loop in pairs}
    kept = [
        not (one or any(domain in chain for domain in domains))
        for chain, one in zip(chains["sequence"], alike, strict=True)
    ]
    return chains.loc[kept, ["sequence", "id"]].reset_index(drop=True)


def _located(root: Path | None) -> pd.DataFrame:
    """Heavy chains whose CDR-H3 is found."""
    chains = _chains(root)
    headers = [" ".join(filter(None, header)) for header in zip(chains["id"], chains["description"], strict=True)]
    named = [(name, chain) for name, chain in zip(headers, chains["sequence"], strict=True) if not name.endswith(LIGHT)]
    found = [(name, chain, cdr_h3(chain)) for name, chain in named]
    frame = _rows(((name, chain, ends) for name, chain, ends in found if ends is not None), "train")
    return frame.drop_duplicates(["heavy", "cdr_h3"], ignore_index=True)


def _rows(chains: Iterable[tuple[str, str, tuple[int, int]]], part: str) -> pd.DataFrame:
    import pandas as pd

    lines = []
    for name, chain, (start, end) in chains:
        before, loop, after = variable_domain(chain, start, end)
        lines.append((f"{before}{MARK * len(loop)}{after}", loop, name, part))
    return pd.DataFrame(lines, columns=["heavy", "cdr_h3", "id", SPLIT_COLUMN])


def _alike(loops: Sequence[str], held_out: Sequence[str], identity: float) -> list[bool]:
    """Whether each loop is at least `identity` alike to one of those held out.

    Raises:
        DataError: rapidfuzz is not installed.
    """
    try:
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cdist
    except ImportError:
        raise DataError("edit distances need rapidfuzz", hint="pip install 'mammal[generation]'") from None
    different = sorted(set(loops))
    similarity = cdist(different, sorted(set(held_out)), scorer=Levenshtein.normalized_similarity)
    nearest = dict(zip(different, similarity.max(axis=1).tolist(), strict=True))
    return [nearest[loop] >= identity for loop in loops]
