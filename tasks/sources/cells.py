"""`source: cells`: single cells and cell lines, from local copies below `paths.data`.

    zheng68k   blood cells by type (Zheng et al. 2017); columns as in `mammal.tasks.tables.h5ad`
                   cell_type_zheng68k/zheng68k.h5ad, else cell_type_zheng68k_sample/zheng68k.h5ad (165 cells)
    gdsc       ln IC50 (µM) of drugs on cancer cell lines (Iorio et al. 2016), in the files of DeepCDR (Liu et al. 2020)
                   cell_line_drug_deepcdr/GDSC_IC50.csv.gz                     drugs x cell lines
                                         /Drug_list.csv.gz                     drug -> PubChem compound
                                         /223drugs_pubchem_smiles.txt.gz       PubChem compound -> SMILES
                                         /Cell_lines_annotations_20181226.txt.gz
                                         /gene_ranks.csv.gz                    optional: cell_line, genes

Any other AnnData file is read by `source: file`.

Rows of `gdsc` are the measured pairs of a drug with a known structure and a cell line. Columns: `smiles`, `drug`,
`drug_id`, `cell_line` (DepMap's ACH id), `attributes` (tissue, histology, subtype and type in words, "unknown" for
lines without annotation), the fields that `attributes` is made of, `ln_ic50`, and `genes` ("[MALAT1][B2M]…", by
descending expression) if the user has gene ranks. Some drugs were screened twice under two ids, so a pair can have two
values. The column `pair` identifies the pair, to keep its values together.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.sources.local import find_copy, local_copy
from mammal.tasks.sources.parts import known_name
from mammal.tasks.tables.h5ad import MIN_GENES
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

logger = logging.getLogger(__name__)

ZHENG68K = ("cell_type_zheng68k/zheng68k.h5ad", "cell_type_zheng68k_sample/zheng68k.h5ad")
ZHENG68K_ORIGIN = "the 10x Genomics page of Zheng et al. 2017, as an h5ad with obs.cell_type_ontology_term_id"

GDSC = "cell_line_drug_deepcdr"
GDSC_ORIGIN = "github.com/kimmo1019/DeepCDR (data)"
GENE_RANKS = (f"{GDSC}/gene_ranks.csv.gz", f"{GDSC}/gene_ranks.csv")
ATTRIBUTES = {"Site_Primary": "tissue", "Histology": "histology", "Hist_Subtype1": "subtype", "type_refined": "type"}
"""Fields of the annotation table -> ours, in the order in which `attributes` names them."""
UNANNOTATED = ("", "NA", "NS")
UNKNOWN = "unknown"


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy, or a file that can't be read.
    """
    if known_name(data.name, ("zheng68k", "gdsc"), "cells") == "zheng68k":
        return _zheng68k(root, data.limit)
    frame = _gdsc(root)
    return frame if data.limit is None else frame.head(data.limit)


def _zheng68k(root: Path | None, limit: int | None) -> pd.DataFrame:
    whole, sample = ZHENG68K
    file = find_copy(whole, root) or find_copy(sample, root) or local_copy(whole, root, ZHENG68K_ORIGIN)
    frame = read_table(file, limit=limit)
    shallow = frame["n_genes"] < MIN_GENES
    if shallow.any():
        logger.warning("zheng68k: %d cells with fewer than %d genes left out", shallow.sum(), MIN_GENES)
    return frame[~shallow]


def _gdsc(root: Path | None) -> pd.DataFrame:
    measured = _measured(root)
    drugs = _drugs(root)
    known = measured["drug_id"].isin(drugs.index)
    if not known.all():
        lost = len(measured) - int(known.sum())
        logger.info("gdsc: %d of %d values belong to drugs without a structure and are left out", lost, len(measured))
    frame = measured[known].join(drugs, on="drug_id").join(_cell_lines(root), on="cell_line")
    frame["attributes"] = frame["attributes"].fillna(UNKNOWN)
    frame["pair"] = frame.pop("pubchem") + " " + frame["cell_line"]
    ranks = next((file for path in GENE_RANKS if (file := find_copy(path, root))), None)
    return frame if ranks is None else _with_genes(frame, ranks)


def _measured(root: Path | None) -> pd.DataFrame:
    """Columns drug_id, cell_line and ln_ic50 of every value of the matrix, ordered by drug."""
    matrix = read_table(local_copy(f"{GDSC}/GDSC_IC50.csv.gz", root, GDSC_ORIGIN))
    first = matrix.columns[0]
    matrix["drug_id"] = matrix.pop(first).str.removeprefix("GDSC:")
    matrix["order"] = range(len(matrix))
    rows = matrix.melt(["drug_id", "order"], var_name="cell_line", value_name="ln_ic50")
    rows = rows[~rows["ln_ic50"].isin(UNANNOTATED)].sort_values("order", kind="stable")
    return rows.drop(columns="order").astype({"ln_ic50": float}).reset_index(drop=True)


def _drugs(root: Path | None) -> pd.DataFrame:
    """Columns drug, pubchem and smiles by drug_id, for drugs with a structure in PubChem."""
    import pandas as pd

    listed = read_table(local_copy(f"{GDSC}/Drug_list.csv.gz", root, GDSC_ORIGIN))
    structures = pd.read_csv(
        local_copy(f"{GDSC}/223drugs_pubchem_smiles.txt.gz", root, GDSC_ORIGIN),
        sep="\t", header=None, names=["pubchem", "smiles"], dtype=str,
    )  # fmt: skip
    named = listed.rename(columns={"Name": "drug", "PubCHEM": "pubchem"})[["drug_id", "drug", "pubchem"]]
    return named.merge(structures, on="pubchem").set_index("drug_id")


def _cell_lines(root: Path | None) -> pd.DataFrame:
    """Annotations by DepMap id; the first record of an id counts."""
    import pandas as pd

    file = local_copy(f"{GDSC}/Cell_lines_annotations_20181226.txt.gz", root, GDSC_ORIGIN)
    table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False).drop_duplicates("depMapID")
    lines = table.set_index("depMapID")[list(ATTRIBUTES)].rename(columns=ATTRIBUTES)
    lines = lines.mask(lines.isin(UNANNOTATED), "")
    words = lines.apply(lambda record: [text.replace("_", " ") for text in record if text], axis=1)
    return lines.assign(attributes=["; ".join(dict.fromkeys(found)) or UNKNOWN for found in words])


def _with_genes(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Adds the ranked genes of each row's cell line; empty if the line has none, so that a task skips these rows."""
    ranks = read_table(file)
    for column in ("cell_line", "genes"):
        if column not in ranks.columns:
            raise DataError(f"no column {column!r}", where=str(file), hint="columns cell_line and genes")
    genes = ranks.drop_duplicates("cell_line").set_index("cell_line")["genes"]
    return frame.assign(genes=frame["cell_line"].map(genes).fillna(""))
