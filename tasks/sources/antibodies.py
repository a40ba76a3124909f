"""`source: antibodies`: heavy chains with a hidden loop, and light chains, from local copies below `paths.data`.

    chains   sequence id             heavy and light chains of SAbDab and CoV-AbDab, for training before cdr_h3
    cdr_h3   heavy cdr_h3 id split   CDR-H3 to be filled in; published valid and test (Jin et al. 2022, RefineGNN)
    cdr_h3_residues                  the same columns and rows, with X instead of marks
    pairs    heavy light cdr_h3      antibodies against coronaviruses (Raybould et al. 2021, CoV-AbDab)

`pairs` holds each pair once, if both variable domains are known. Its column `cdr_h3` is copied from the database and
can be used to split, because antibodies of one lineage share it.

In `cdr_h3`, the column `heavy` is the variable domain with a mark, `_`, for each residue of CDR-H3
(`mammal.tasks.infilling`), and the column `cdr_h3` holds the hidden residues. In `cdr_h3_residues`, `heavy` has an `X`,
any residue, instead of each mark; a chain with another X is left out. Constant domains, and domains fused in front, are
removed in all parts.

The published training part is not available from a public repository. Training rows are therefore the heavy chains of
SAbDab (Dunbar et al. 2014) and CoV-AbDab (Raybould et al. 2021), each distinct domain once, with CDR-H3 located by the
rule of `mammal.tasks.sequences.antibodies`. There are 5,763 of them; 431 have the same CDR-H3 as a valid or test row.

The published parts were made by clustering CDR-H3 at 40 % sequence identity with MMseqs2. A training chain is therefore
left out if the similarity of its CDR-H3 to one of valid or test is at least `data.identity`. Similarity is 1 - edits /
length of the longer one (Levenshtein), which is lower than an identity over aligned stretches. Between the published
valid and test parts its median is 0.54, and it is 0.6 or more for three valid rows in ten. At 0.6, the task's value,
3,672 domains remain; at 0.5, 1,518.

`chains` holds the chains of the same file, including light ones, filtered by the same rule. Chains that contain a whole
domain of valid or test are left out, too. Of 9,396 chains 6,906 remain. Without these filters, 316 of the 437 test
domains could be memorised. Test has 437 rows with 257 different CDR-H3, valid 403 with 252; they are used as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.infilling.marks import ANY, MARK, filled
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
"""Minimum number of residues of a variable domain; the database has "ND" for an unknown chain."""
LIGHT = "|VL"
"""Suffix of the headers of light chains."""
RESIDUES = "cdr_h3_residues"
H3 = "3"
"""Character for residues of CDR-H3 in RefineGNN's masks."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy.
    """
    import pandas as pd

    name = known_name(data.name, ("chains", "cdr_h3", RESIDUES, "pairs"), "antibodies")
    if name == "pairs":
        return limited(_pairs(root), data.limit)
    published = [_marked(part, name, root) for part, name in (("valid", "val"), ("test", "test"))]
    held_out = [loop for frame in published for loop in frame["cdr_h3"]]
    if name == "chains":
        return limited(_unlike(_chains(root), pd.concat(published), data.identity), data.limit)
    train = _located(root)
    alike = _alike(train["cdr_h3"].tolist(), held_out, data.identity)
    train = train[[not one for one in alike]]
    rows = pd.concat([train, *published], ignore_index=True)
    return limited(_with_any(rows) if name == RESIDUES else rows, data.limit)


def _with_any(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with the letter for any residue instead of each mark; without chains that have this letter."""
    known = rows[~rows["heavy"].str.contains(ANY["AA"], regex=False)]
    shown = known["heavy"].str.replace(MARK, ANY["AA"], regex=False)
    return known.assign(heavy=shown).reset_index(drop=True)


def _pairs(root: Path | None) -> pd.DataFrame:
    rows = read_table(local_copy(COVABDAB_FILE, root, COVABDAB))
    columns = {"VH or VHH": "heavy", "VL": "light", "CDRH3": "cdr_h3"}
    chains = rows[list(columns)].rename(columns=columns).apply(lambda cells: cells.str.strip())
    written = chains.apply(lambda cells: cells.str.fullmatch("[A-Z]+")).all(axis=1)
    long = (chains[["heavy", "light"]].map(len) > SHORTEST).all(axis=1)
    return chains[written & long].drop_duplicates(["heavy", "light"], ignore_index=True)


def _marked(part: str, name: str, root: Path | None) -> pd.DataFrame:
    """A published part; its file marks the CDR of each residue."""
    rows = read_table(local_copy(f"antibody_cdr_refinegnn/hcdr3_{name}.csv.gz", root, REFINEGNN))
    ends = [(mask.find(H3), mask.rfind(H3) + 1) for mask in rows["cdr"].astype(str)]
    return _rows(zip(rows["pdb"], rows["seq"], ends, strict=True), part)


def _chains(root: Path | None) -> pd.DataFrame:
    """Columns `id`, `description`, `sequence`."""
    return read_table(local_copy("pretrain_proteins/antibodies_sabdab_covabdab.fasta.gz", root, CHAINS))


def _unlike(chains: pd.DataFrame, published: pd.DataFrame, identity: float) -> pd.DataFrame:
    """Chains without a CDR-H3 similar to a held-out one and without a whole held-out domain."""
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
    """Heavy chains in which a CDR-H3 is found."""
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
    """Whether the similarity of each loop to a held-out one is at least `identity`.

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
