"""`source: proteins`: properties of single proteins, from local copies below `paths.data`.

    psi_biology      sequence soluble fold               solubility in E. coli; published folds (Thumuluri et al. 2022)
    esol             sequence solubility split           soluble fraction, 0 to 1 (Niwa et al. 2009; Chen et al. 2021)
    deepsol          sequence soluble split              published validation part as train; published test (see below)
    stability        sequence stability split            TAPE (Rao et al. 2019; Rocklin et al. 2017)
    remote_homology  sequence fold_class split           TAPE: SCOP fold, 0 to 1194 (Hou et al. 2018)
    signal_peptide   sequence signal_peptide split       the first 70 residues (Armenteros et al. 2019, SignalP 5.0)
    scop             sequence scop_class split           SCOP class, a to g
    fluorescence     sequence fluorescence               TAPE's validation part alone (Sarkisyan et al. 2016)
    flip_gb1         sequence domain fitness …           FLIP; one column for each of its splits (Wu et al. 2016)
    secondary_structure  sequence structure split        FLIP: helix, strand or coil of each residue (NetSurfP-2.0)
    disorder         sequence disorder split             TAPE: ordered (O) or disordered (D) residues; see below
    deeploc          sequence location membrane split    published validation part as train; published test
    deeploc_hard     the same                            tested on setHARD (Stärk et al. 2021)

If only train and test are published, valid is a seeded tenth of the distinct training sequences. The training sequences
of DeepSol and DeepLoc are too large for the public repositories that hold the other parts. Models are therefore trained
on their validation parts here, and their results can't be compared with published figures. The same holds for
disorder: its published validation part is train here, and valid is a seeded tenth of it.

Secondary structure: the 3-state labels of DSSP (Kabsch and Sander 1983) from NetSurfP-2.0 (Klausen et al. 2019). The
test part is NEW364 (Elnaggar et al. 2021, ProtTrans). Residues that FLIP masks, because the structure does not resolve
them, have a dot in place of a label.
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name, limited, with_valid
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig


@dataclass(frozen=True)
class ProteinSet:
    """A set that is stored as tables.

    Attributes:
        files: part -> path below `paths.data`; a set in one file has the part "".
        origin: repository and folder that the files come from.
        renamed: columns to rename.
    """

    files: dict[str, str]
    origin: str
    renamed: dict[str, str] = field(default_factory=dict)


PROTEINBERT = "github.com/nadavbra/protein_bert, protein_benchmarks/"
GRAPHSOL = "github.com/jcchan23/GraphSol, Data/"
PSI = "github.com/CS-433/Protein-Solubility, data/"
DEEPSOL = "github.com/sameerkhurana10/DSOL_rv0.2, data/"
DEEPLOC = "github.com/HannesStark/protein-localization, data_files/"
FLIP = "github.com/J-SNACKKB/FLIP, splits/gb1/splits.zip"
FLIP_STRUCTURE = "github.com/J-SNACKKB/FLIP, splits/secondary_structure/splits.zip"
UNRESOLVED = "."
"""Label of residues that the structure does not resolve."""


def _proteinbert(file: str, label: str, *parts: str) -> ProteinSet:
    files = {part: f"protein_benchmarks_proteinbert/{file}.{part or 'valid'}.csv.gz" for part in parts}
    return ProteinSet(files, PROTEINBERT, {"seq": "sequence", "label": label})


TABLES = {
    "psi_biology": ProteinSet(
        {"": "protein_solubility_psi_netsolp/PSI_Biology_solubility_trainset.csv.gz"},
        PSI,
        {"fasta": "sequence", "solubility": "soluble", "partition": "fold", "sid": "id"},
    ),
    "esol": ProteinSet({part: f"protein_solubility_esol/eSol_{part}.csv.gz" for part in ("train", "test")}, GRAPHSOL),
    "stability": _proteinbert("stability", "stability", "train", "valid", "test"),
    "remote_homology": _proteinbert("remote_homology", "fold_class", "train", "valid", "test"),
    "signal_peptide": _proteinbert("signalP_binary", "signal_peptide", "train", "test"),
    "scop": _proteinbert("scop", "scop_class", "train", "test"),
    "fluorescence": _proteinbert("fluorescence", "fluorescence", ""),
}

GB1_SPLITS = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "low_vs_high", "sampled")
GB1_DOMAIN = 56
"""Number of residues of the binding domain. Only four of them vary; the other 209 residues are equal in all rows."""

DEEPLOC_TESTS = {"deeploc": "deeploc_test_set", "deeploc_hard": "setHARD"}
DEEPLOC_LOCATIONS = {
    "Cell.membrane": "cell membrane",
    "Cytoplasm": "cytoplasm",
    "Endoplasmic.reticulum": "endoplasmic reticulum",
    "Extracellular": "extracellular",
    "Golgi.apparatus": "golgi apparatus",
    "Lysosome/Vacuole": "lysosome or vacuole",
    "Mitochondrion": "mitochondrion",
    "Nucleus": "nucleus",
    "Peroxisome": "peroxisome",
    "Plastid": "plastid",
}
"""Location in the headers -> label. Proteins with two locations (`Cytoplasm-Nucleus`, 23 of the validation part) are
left out, as in the authors' ten-class task."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy.
    """
    name = known_name(data.name, [*TABLES, *_SPECIAL], "proteins")
    frame = _SPECIAL[name](name, root) if name in _SPECIAL else _table(TABLES[name], root)
    if SPLIT_COLUMN in frame.columns and "valid" not in set(frame[SPLIT_COLUMN]):
        frame = with_valid(frame, frame["sequence"].tolist(), data.split_seed)
    return limited(frame, data.limit)


def _table(table: ProteinSet, root: Path | None) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for part, path in table.files.items():
        frame = read_table(local_copy(path, root, table.origin)).rename(columns=table.renamed)
        frames.append(frame.assign(**{SPLIT_COLUMN: part}) if part else frame)
    return pd.concat(frames, ignore_index=True)


def _deepsol(name: str, root: Path | None) -> pd.DataFrame:
    """Sequences and labels are in separate files, one per line in the same order."""
    import pandas as pd

    frames = []
    for part, file in (("train", "val"), ("test", "test")):
        lines = []
        for kind in ("src", "tgt"):
            path = local_copy(f"protein_solubility_{name}/{file}_{kind}.gz", root, DEEPSOL)
            with gzip.open(path, "rt", encoding="utf-8") as text:
                lines.append(text.read().split())
        if len(lines[0]) != len(lines[1]):
            raise DataError(f"{len(lines[0])} sequences and {len(lines[1])} labels", where=str(path))
        frames.append(pd.DataFrame({"sequence": lines[0], "soluble": lines[1], SPLIT_COLUMN: part}))
    return pd.concat(frames, ignore_index=True)


def _gb1(name: str, root: Path | None) -> pd.DataFrame:
    """All splits have the same rows in the same order; each becomes a column with the values train, valid and test."""
    import pandas as pd

    frame = pd.DataFrame()
    with zipfile.ZipFile(local_copy("protein_flip/gb1_splits.zip", root, FLIP)) as archive:
        for split in GB1_SPLITS:
            with archive.open(f"splits/{split}.csv") as file:
                rows = pd.read_csv(file, dtype=str, keep_default_na=False)
            if frame.empty:
                domain = rows["sequence"].str[:GB1_DOMAIN]
                frame = pd.DataFrame({"sequence": rows["sequence"], "domain": domain, "fitness": rows["target"]})
            frame[split] = rows["set"].where(rows["validation"] != "True", "valid")
    return frame


def _secondary_structure(name: str, root: Path | None) -> pd.DataFrame:
    """Three FASTA files with the same names: sequences, labels with `SET=train VALIDATION=False`, and masks."""
    import pandas as pd

    path = local_copy("protein_flip/secondary_structure_splits.zip", root, FLIP_STRUCTURE)
    with zipfile.ZipFile(path) as archive:
        files = [archive.read(f"splits/{file}.fasta").decode() for file in ("sequences", "sampled", "mask")]
    sequences, labels, masks = map(_records, files)
    lines = []
    for key, (about, written) in labels.items():
        said = dict(word.split("=") for word in about.split())
        part = "valid" if said["VALIDATION"] == "True" else said["SET"]
        kept = [label if use == "1" else UNRESOLVED for label, use in zip(written, masks[key][1], strict=True)]
        lines.append({"id": key, "sequence": sequences[key][1], "structure": "".join(kept), SPLIT_COLUMN: part})
    return pd.DataFrame(lines)


def _records(fasta: str) -> dict[str, tuple[str, str]]:
    """Identifier -> (rest of the header, text) of each record of a FASTA file."""
    found = {}
    for record in fasta.split(">")[1:]:
        header, _, text = record.partition("\n")
        key, _, about = header.partition(" ")
        found[key] = about, "".join(text.split())
    return found


_ORDER = {"1": "O", "0": "D"}
"""Published label of a residue -> ordered or disordered."""


def _disorder(name: str, root: Path | None) -> pd.DataFrame:
    """The published validation part as train, and the published test part."""
    import pandas as pd

    frames = []
    for part, file in (("train", "valid"), ("test", "test")):
        path = f"protein_benchmarks_proteinbert/disorder_secondary_structure.{file}.csv.gz"
        rows = read_table(local_copy(path, root, PROTEINBERT)).rename(columns={"seq": "sequence", "label": "disorder"})
        letters = rows["disorder"].str.translate(str.maketrans(_ORDER))
        frames.append(rows.assign(disorder=letters, **{SPLIT_COLUMN: part}))
    return pd.concat(frames, ignore_index=True)


def _deeploc(name: str, root: Path | None) -> pd.DataFrame:
    """Headers read `>ACCESSION Location-S test`; after the dash: membrane-bound, soluble or unknown."""
    import pandas as pd

    frames = []
    for part, file in (("train", "deeploc_our_val_set"), ("test", DEEPLOC_TESTS[name])):
        path = local_copy(f"protein_localization_deeploc_part/{file}.fasta.gz", root, DEEPLOC)
        rows = read_table(path)
        said = rows["description"].str.split(" ").str[0].str.rsplit("-", n=1)
        places = {"location": said.str[0].map(DEEPLOC_LOCATIONS), "membrane": said.str[1], SPLIT_COLUMN: part}
        frames.append(rows[["id", "sequence"]].assign(**places).dropna(subset="location"))
    return pd.concat(frames, ignore_index=True)


_SPECIAL: dict[str, Callable[[str, Path | None], pd.DataFrame]] = {
    "deepsol": _deepsol,
    "flip_gb1": _gb1,
    "secondary_structure": _secondary_structure,
    "disorder": _disorder,
    **dict.fromkeys(DEEPLOC_TESTS, _deeploc),
}
