"""`source: ppi`: pairs of proteins, from local copies below `paths.data`.

    pipr_yeast      protein_a protein_b interacts fold     yeast, equally many interacting and non-interacting pairs
                                                           (Guo et al. 2008), in PIPR's files (Chen et al. 2019)
    pipr_partners   protein partner split                  the interacting yeast pairs in both orders; no protein of
                                                           test is in a pair of train
    dscript         protein_a protein_b interacts split    trained on the yeast pairs, tested on those of E. coli
    dscript_yeast   protein_a protein_b interacts          STRING pairs, ten non-interacting for each interacting one
    dscript_ecoli   protein_a protein_b interacts          (Sledzieski et al. 2021)
    skp1102s        partner wild_type mutant ddg           one residue of one chain mutated (MuPIPR: Zhou et al. 2020)
                    complex fold
    skp1402m        chain_a chain_b mutant_a mutant_b      one or more residues of either chain mutated (the same)
                    ddg complex fold
    skempi_v2       the same                               rows of SKEMPI v2 with known sequences (see below)

`ddg` is the binding free energy of the mutant complex minus that of the wild type in kcal/mol: positive if the mutant
binds more weakly. The three sets of mutants also have `complex` (PDB id, for group splits) and `fold`, ten seeded
folds. The folds of PIPR's and the mutants' sets are made here, because the papers name their number but not their rows.
Pairs in either order, repeated measurements of a mutant, and a mutation and its reversal share a fold.

SKEMPI v2 has no sequences. MuPIPR's files have the sequences of 228 chains, with the numbering of SKEMPI's cleaned
mutations. They cover the complexes of two chains (one on each side) that MuPIPR's own sets use: 2,396 of 7,085 rows. In
all of them the wild-type residues are at the positions that the mutations name. Rows without a measured affinity are
left out.
"""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name, limited, read_plain, with_folds, with_valid
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

PIPR = "github.com/muhaochen/seq_ppi, yeast/preprocessed/"
DSCRIPT = "github.com/samsledje/D-SCRIPT, data/seqs/ and data/pairs/"
MUPIPR = "github.com/guangyu-zhou/MuPIPR, data/"
SKEMPI_ORIGIN = f"the SKEMPI v2 site, or {MUPIPR}"
SKEMPI = "ppi_ddg_skempi"
SKEMPI_COLUMNS = {
    "#Pdb": "complex",
    "Mutation(s)_cleaned": "mutations",
    "Affinity_mut_parsed": "kd_mutant",
    "Affinity_wt_parsed": "kd_wild_type",
    "Temperature": "temperature",
}

_PAIRS = ("pipr_yeast", "pipr_partners", "dscript", "dscript_yeast", "dscript_ecoli")
NAMES = (*_PAIRS, "skp1102s", "skp1402m", "skempi_v2")
PIPR_FOLDS, MUTANT_FOLDS = 5, 10
PAIR = ["protein_a", "protein_b"]
PARTNER_SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}
"""Shares of proteins. The shares of pairs are their squares, because both proteins of a pair must be in the part."""
CHAINS = ["chain_a", "chain_b", "mutant_a", "mutant_b"]
LABELS = {"1": "1", "0": "0", "1.0": "1", "0.0": "0"}
"""Label in the files -> label of the table."""

GAS_CONSTANT = 1.987204e-3
"""kcal/(mol K)."""

ROOM_TEMPERATURE = 298.15
"""K, for measurements without a stated temperature; SKEMPI assumes the same."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy, or a pair names a protein without sequence.
    """
    name, seed = known_name(data.name, NAMES, "ppi"), data.split_seed
    if name == "pipr_yeast":
        frame = _pipr(root)
        frame = with_folds(frame, _unordered(frame), PIPR_FOLDS, seed)
    elif name == "pipr_partners":
        frame = _partners(root, seed)
    elif name == "dscript":
        frame = _across_species(root, seed)
    elif name.startswith("dscript_"):
        frame = _dscript(name.removeprefix("dscript_"), root)
    else:
        frame = _skempi(root) if name == "skempi_v2" else _mutants(name.replace("skp", "SKP"), root)
        frame = with_folds(frame, _either_way(frame), MUTANT_FOLDS, seed)
    return limited(frame, data.limit)


def _pipr(root: Path | None) -> pd.DataFrame:
    folder = "ppi_yeast_pipr/protein"
    pairs = read_plain(local_copy(f"{folder}.actions.tsv.gz", root, PIPR), ["id_a", "id_b", "interacts"])
    file = local_copy(f"{folder}.dictionary.tsv.gz", root, PIPR)
    proteins = read_plain(file, ["id", "sequence"])
    return _joined(pairs, dict(zip(proteins["id"], proteins["sequence"], strict=True)), file)


def _partners(root: Path | None, seed: int) -> pd.DataFrame:
    """Interacting pairs in both orders: each protein of a pair is the input in one row and the target in the other.

    Proteins are assigned to the parts. Pairs of proteins of different parts are left out, so about half remain.
    """
    import pandas as pd

    pairs = _pipr(root)
    pairs = pairs[pairs["interacts"] == "1"]
    proteins = sorted({*pairs["protein_a"], *pairs["protein_b"]})
    parts, shares = list(PARTNER_SHARES), list(PARTNER_SHARES.values())
    dealt = np.random.default_rng(seed).choice(parts, size=len(proteins), p=shares).tolist()
    part_of = dict(zip(proteins, dealt, strict=True))
    there, back = (pairs[order].set_axis(["protein", "partner"], axis=1) for order in (PAIR, PAIR[::-1]))
    frame = pd.concat([there, back], ignore_index=True).drop_duplicates(ignore_index=True)
    frame[SPLIT_COLUMN] = frame["protein"].map(part_of)
    return frame[frame[SPLIT_COLUMN] == frame["partner"].map(part_of)].reset_index(drop=True)


def _dscript(species: str, root: Path | None) -> pd.DataFrame:
    pairs = read_plain(local_copy(f"ppi_dscript/{species}_test.tsv.gz", root, DSCRIPT), ["id_a", "id_b", "interacts"])
    file = local_copy(f"ppi_dscript/{species}_dedup.fasta.gz", root, DSCRIPT)
    proteins = read_table(file)
    return _joined(pairs, dict(zip(proteins["id"], proteins["sequence"], strict=True)), file)


def _across_species(root: Path | None, seed: int) -> pd.DataFrame:
    """Yeast as train, a tenth of its pairs as valid, E. coli as test."""
    import pandas as pd

    species = {"train": "yeast", "test": "ecoli"}
    frames = [_dscript(name, root).assign(**{SPLIT_COLUMN: part}) for part, name in species.items()]
    frame = pd.concat(frames, ignore_index=True)
    return with_valid(frame, _unordered(frame), seed)


def _joined(pairs: pd.DataFrame, sequences: dict[str, str], file: Path) -> pd.DataFrame:
    """Pairs of identifiers with the sequences of both."""
    columns = {}
    for column, name in zip(PAIR, ("id_a", "id_b"), strict=True):
        columns[column] = pairs[name].map(sequences)
        if columns[column].isna().any():
            missing = pairs[name][columns[column].isna()].iloc[0]
            raise DataError(f"no sequence of the protein {missing!r}", where=str(file))
    return pairs.assign(**columns, interacts=pairs["interacts"].map(LABELS))


def _unordered(frame: pd.DataFrame) -> list[str]:
    """A key that is the same for A with B and for B with A."""
    return ["|".join(sorted(pair)) for pair in zip(*(frame[column] for column in PAIR), strict=True)]


def _either_way(frame: pd.DataFrame) -> list[str]:
    """A key that is the same for a mutation and its reversal (rows in which the mutant is listed as the wild type)."""
    complexes = zip(*(frame[column] for column in CHAINS), strict=True)
    return ["|".join(sorted((f"{a}+{b}", f"{mutant_a}+{mutant_b}"))) for a, b, mutant_a, mutant_b in complexes]


def _mutants(name: str, root: Path | None) -> pd.DataFrame:
    """MuPIPR's rows: names and sequences of two chains and their mutants, both energies and their difference."""
    names = [f"{column}_id" for column in CHAINS]
    energies = ["dg_wild_type", "dg_mutant", "ddg"]
    rows = read_plain(local_copy(f"{SKEMPI}/mupipr_{name}.ddg.txt.gz", root, MUPIPR), [*names, *energies])
    sequences = _chains(name, root)
    frame = rows.assign(**{column: rows[f"{column}_id"].map(sequences) for column in CHAINS})
    frame["complex"] = frame["chain_a_id"].str[:4]
    if (frame["chain_a"].ne(frame["mutant_a"]) & frame["chain_b"].ne(frame["mutant_b"])).any():
        return frame
    in_a = frame["chain_a"] != frame["mutant_a"]
    roles = {"partner": ("chain_b", "chain_a"), "wild_type": ("chain_a", "chain_b"), "mutant": ("mutant_a", "mutant_b")}
    return frame.assign(**{role: frame[a].where(in_a, frame[b]) for role, (a, b) in roles.items()})


def _chains(name: str, root: Path | None) -> dict[str, str]:
    """Sequences by name, such as `1CSE_I` and its mutant `1CSE_I_LI38G`."""
    rows = read_plain(local_copy(f"{SKEMPI}/mupipr_{name}.seq.txt.gz", root, MUPIPR), ["id", "sequence"])
    return dict(zip(rows["id"], rows["sequence"], strict=True))


def _skempi(root: Path | None) -> pd.DataFrame:
    """SKEMPI v2 rows of two chains with known sequences, with the sequences of their mutants."""
    import pandas as pd

    file = local_copy(f"{SKEMPI}/skempi_v2.csv.gz", root, SKEMPI_ORIGIN)
    table = pd.read_csv(file, sep=";", dtype=str, keep_default_na=False).rename(columns=SKEMPI_COLUMNS)
    sequences = _chains("SKP1402m", root)
    rows = []
    for row in table.to_dict("records"):
        pdb, *sides = row["complex"].split("_")
        chains = [sequences.get(f"{pdb}_{side}") for side in sides]
        if None in chains or not row["kd_mutant"] or not row["kd_wild_type"]:
            continue
        mutants = [mutated(str(chain), side, row["mutations"]) for chain, side in zip(chains, sides, strict=True)]
        ratio = float(row["kd_mutant"]) / float(row["kd_wild_type"])
        ddg = GAS_CONSTANT * _kelvin(row["temperature"]) * log(ratio)
        rows.append([pdb, row["mutations"], *chains, *mutants, f"{ddg:.6g}"])
    return pd.DataFrame(rows, columns=["complex", "mutations", *CHAINS, "ddg"])


def mutated(chain: str, letter: str, mutations: str) -> str:
    """Applies those of SKEMPI's mutations that name a chain: `LI38G` replaces L at position 38 of chain I by G.

    Args:
        chain: sequence of the chain.
        letter: its chain id.
        mutations: mutations in SKEMPI's notation, separated by commas.

    Raises:
        DataError: the chain has another residue at that position.
    """
    residues = list(chain)
    for mutation in mutations.split(","):
        before, where, position, after = mutation[0], mutation[1], int(mutation[2:-1]), mutation[-1]
        if where != letter:
            continue
        if not 1 <= position <= len(residues) or chain[position - 1] != before:
            raise DataError(f"mutation {mutation}: no {before} there", where=f"chain {letter}")
        residues[position - 1] = after
    return "".join(residues)


def _kelvin(text: str) -> float:
    """The temperature of a cell such as `298` or `298(assumed)`."""
    number = text.partition("(")[0].strip()
    return float(number) if number else ROOM_TEMPERATURE
