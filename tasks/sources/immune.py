"""`source: immune`: T-cell receptors and antibodies with their binding partners, from local copies below `paths.data`.

    tcr_split      tcr_beta cdr3 epitope binds fold    TITAN's ten folds over receptors (Weber et al. 2021)
    strict_split   the same                            TITAN's folds in which epitopes are new, too
    tcr_binders    tcr_beta cdr3 epitope               only binding pairs, of all folds, each pair once
    her2           cdrh3 heavy binds                   trastuzumab's CDR H3 mutated, against HER2 (Mason et al. 2021)
    sabdab_pairs   heavy antigen binds complex fold    antibodies and their antigens in SAbDab (Dunbar et al. 2014)
    paratope       sequence paratope split …           residues of an antibody that touch its antigen (Leem et al. 2022)

TITAN's negatives pair receptors with epitopes at random within each fold. The training file of a fold consists of the
test files of the nine other folds, so only the test files are read, and `fold` is their number. Both splits use the set
with the COVID-19 receptors.

HER2: the library was sorted into binders and non-binders, and both were sequenced. The 2,342 sequences found in both
have no clear label and are left out; sequences found more than once in one class count once. This leaves 8,935 binders
and 25,114 non-binders. `heavy` is the heavy chain of trastuzumab with the ten residues in their place.

SAbDab's pairs are all positive, one for each pair of sequences. Negatives are made as follows. Pairs that share an
antibody or an antigen, directly or through other pairs, form a group. Groups are distributed over ten folds of similar
size. Within a fold each antibody gets the antigen of another group. So a negative is never a known pair, neither
sequence of a test pair occurs in another fold, and every antibody and antigen occurs in as many positives as negatives:
neither of them alone predicts the label. A few negatives may bind nevertheless, because similar but not identical
antigens count as different ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import FOLD_COLUMN, known_name, limited, read_plain
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

TITAN = "github.com/PaccMann/TITAN, datasets/"
MASON = "github.com/dahjan/DMS_opt, data/"
SABDAB = "github.com/kalininalab/DataSAIL, tests/data/rw_data/sabdab_full/"
ANTIBERTA = "github.com/alchemab/antiberta, assets/"
NAMES = ("tcr_split", "strict_split", "tcr_binders", "her2", "sabdab_pairs", "paratope")
FOLDS = 10

TRASTUZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSR",
    "YWGQGTLVTVSS",
)
"""Variable heavy domain before and after the ten varied residues of CDR H3 (WGGDGFYAMD in the wild type)."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy.
    """
    name = known_name(data.name, NAMES, "immune")
    if name == "paratope":
        frame = _paratope(root)
    elif name == "her2":
        frame = _her2(root)
    elif name == "sabdab_pairs":
        frame = _sabdab(root, data.split_seed)
    elif name == "tcr_binders":
        frame = _binders(root)
    else:
        frame = _titan(name, root)
    return limited(frame, data.limit)


def _titan(split: str, root: Path | None) -> pd.DataFrame:
    import pandas as pd

    sequences = {}
    for column, file in (("tcr_beta", "tcr_full"), ("cdr3", "tcr"), ("epitope", "epitopes")):
        path = local_copy(f"tcr_epitope_titan/{file}.csv.gz", root, TITAN)
        rows = read_plain(path, ["sequence", "id"])
        sequences[column] = dict(zip(rows["id"], rows["sequence"], strict=True))
    frames = []
    for fold in range(FOLDS):
        path = local_copy(f"tcr_epitope_titan/{split}/fold{fold}/test+covid.csv.gz", root, TITAN)
        rows = read_table(path).assign(**{FOLD_COLUMN: fold})
        frames.append(rows[["ligand_name", "sequence_id", "label", FOLD_COLUMN]])
    frame = pd.concat(frames, ignore_index=True).rename(columns={"label": "binds"})
    ids = {"tcr_beta": "sequence_id", "cdr3": "sequence_id", "epitope": "ligand_name"}
    return frame.assign(**{column: frame[ids[column]].map(found) for column, found in sequences.items()})


def _binders(root: Path | None) -> pd.DataFrame:
    frame = _titan("tcr_split", root)
    frame = frame[frame["binds"].astype(str).isin(("1", "1.0"))]
    return frame[["tcr_beta", "cdr3", "epitope"]].drop_duplicates(["cdr3", "epitope"], ignore_index=True)


def _her2(root: Path | None) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for label, file in (("1", "mHER_H3_AgPos"), ("0", "mHER_H3_AgNeg")):
        rows = read_table(local_copy(f"antibody_her2_mason/{file}.csv.gz", root, MASON))
        frames.append(pd.DataFrame({"cdrh3": rows["AASeq"].unique(), "binds": label}))
    both = pd.concat(frames, ignore_index=True)
    frame = both[~both["cdrh3"].duplicated(keep=False)].reset_index(drop=True)
    before, after = TRASTUZUMAB
    return frame.assign(heavy=before + frame["cdrh3"] + after)


def _paratope(root: Path | None) -> pd.DataFrame:
    """Variable domains of heavy and light chains; `paratope` has P for a residue that touches the antigen, else N."""
    import pandas as pd

    frames = []
    for part, file in (("train", "train"), ("valid", "val"), ("test", "test")):
        rows = read_table(local_copy(f"antibody_sabdab_antiberta/sabdab_{file}.parquet", root, ANTIBERTA))
        found = {column: rows[column] for column in ("pdb", "v_gene", "j_gene", "sequence")}
        labels = ["".join(cell) for cell in rows["paratope_labels"]]
        frames.append(pd.DataFrame({**found, "paratope": labels, SPLIT_COLUMN: part}))
    return pd.concat(frames, ignore_index=True)


def _sabdab(root: Path | None, seed: int) -> pd.DataFrame:
    """Positives in the order of the file, followed by negatives."""
    import pandas as pd

    folder = "antibody_antigen_sabdab_datasail"
    chains = {}
    for column, file in (("heavy", "vh"), ("antigen", "ag")):
        rows = read_table(local_copy(f"{folder}/{file}.fasta.gz", root, SABDAB))
        chains[column] = dict(zip(rows["id"], rows["sequence"], strict=True))
    pairs = read_table(local_copy(f"{folder}/inter.tsv.gz", root, SABDAB))
    positives = pd.DataFrame(
        {
            "heavy": pairs["Antibody_ID"].map(chains["heavy"]),
            "antigen": pairs["Antigen_ID"].map(chains["antigen"]),
            "complex": pairs["Antibody_ID"],
            "binds": "1",
        }
    )
    positives = positives.drop_duplicates(["heavy", "antigen"], ignore_index=True)
    rng = np.random.default_rng(seed)
    groups = linked_groups(positives["heavy"].tolist(), positives["antigen"].tolist())
    positives[FOLD_COLUMN] = even_folds(groups, FOLDS, rng)
    negatives = []
    for _, rows in positives.groupby(FOLD_COLUMN):
        left, right = swapped_pairs(groups[rows.index], rng)
        antigens = rows["antigen"].to_numpy()[right]
        negatives.append(rows.iloc[left].assign(antigen=antigens, complex="", binds="0"))
    return pd.concat([positives, *negatives], ignore_index=True)


def linked_groups(left: list[str], right: list[str]) -> np.ndarray:
    """Returns the connected component of each pair, int64 [N], in the graph that has the pairs as edges.

    Args:
        left: first entity of each pair.
        right: second entity of each pair, of another kind: equal texts in both lists are different nodes.
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left_N, right_N = pd.factorize(np.array(left))[0], pd.factorize(np.array(right))[0]
    first = int(left_N.max(initial=-1)) + 1
    size = first + int(right_N.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(left_N)), (left_N, first + right_N)), shape=(size, size))
    return connected_components(edges, directed=False)[1][left_N].astype(np.int64)


def even_folds(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Distributes whole groups over folds of similar size: largest group first, always to the smallest fold.

    Args:
        groups: group of each row, [N].
        folds: number of folds.
        rng: random state, for the order of groups of equal size.

    Returns:
        The fold of each row, int64 [N].
    """
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(folds, dtype=np.int64)
    home = np.zeros(len(names), dtype=np.int64)
    for group in order.tolist():
        home[group] = filled.argmin()
        filled[home[group]] += sizes[group]
    return home[np.searchsorted(names, groups)]


def swapped_pairs(groups: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs the rows (i, j) so that i and j are in different groups, and each row occurs at most once on each side.

    Rows are sorted by group, with groups and rows in random order. The partner of a row is the one that comes later in
    this order by the size of the largest group, cyclically. If that group has more than half of the rows, some pairs
    would lie within it; these are left out.

    Args:
        groups: group of each row, [N].
        rng: random state.

    Returns:
        Row numbers i and j, two int64 arrays of at most N pairs.
    """
    names, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    rank = rng.permutation(len(names))[number]
    rows = np.lexsort((rng.permutation(len(groups)), rank))
    partners = np.roll(rows, -int(sizes.max()))
    kept = groups[rows] != groups[partners]
    return rows[kept], partners[kept]
