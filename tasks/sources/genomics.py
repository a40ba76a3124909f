"""`source: genomics`: DNA with labels, from local copies below `paths.data` (docs/data.md lists their origins).

    promoter         sequence promoter cluster                     DNABERT's sample: human, 101 bases
    promoter_tata    sequence promoter cluster                     EPDnew TATA promoters, and negatives made from them
    promoter_ecoli   name sequence promoter                        UCI: E. coli, 57 bases, classes + and -
    enhancer         id sequence enhancer split                    iEnhancer: human, 200 bases
    nucleosome       sequence nucleosome cluster                   iNuc-PseKNC: human, 147 bases
    tf_binding       id sequence bound chromosome                  LS-GKM: peaks of NFE2 in GM12878 and background
    mpra             sequence effect region element …              saturation mutagenesis, variants in place
    clinvar          sequence significance cluster variant_type …  ClinVar, variants in place
    clinvar_snv      sequence significance cluster variant_type …  ClinVar, only substitutions of one base
    windows          sequence set cluster                          plain DNA of four of the sets, without labels

Rows of one `cluster` share a stretch of bases (`mammal.tasks.sequences.stretches`): they are copies of a repeat, or
overlapping windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.sequences.stretches import cluster_by_stretch
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

PIECES, REPLACED = 20, 12
"""DeePromoter's recipe for negatives (Oubounyt et al. 2019): 12 of 20 equal pieces of a promoter become random."""


@dataclass(frozen=True)
class GenomicsSet:
    """One data set.

    Attributes:
        file: path of its file below `paths.data`.
        origin: where users get the file.
        read: function (file, maximum number of rows) -> table.
    """

    file: str
    origin: str
    read: Callable[[Path, int | None], pd.DataFrame]


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the data sets above.

    Raises:
        TaskError: no such set.
        DataError: there is no local copy; the message names its path and where users get the file.
    """
    source = SETS[known_name(data.name, SETS, "genomics")]
    return source.read(local_copy(source.file, root, source.origin), data.limit)


def _promoter(file: Path, limit: int | None) -> pd.DataFrame:
    frame = read_table(file, limit=limit).rename(columns={"label": "promoter"})
    return frame.assign(cluster=cluster_by_stretch(frame["sequence"]))


def _promoter_tata(file: Path, limit: int | None) -> pd.DataFrame:
    """Each promoter, followed by the negative made from it; both are in the same cluster."""
    import pandas as pd

    promoters = pd.read_csv(file, names=["sequence"], nrows=limit)["sequence"].tolist()
    clusters = cluster_by_stretch(promoters)
    draws = np.random.default_rng(0)
    rows = []
    for promoter, cluster in zip(promoters, clusters.tolist(), strict=True):
        rows += [(promoter, "1", cluster), (partly_random(promoter, draws), "0", cluster)]
    return pd.DataFrame(rows, columns=["sequence", "promoter", "cluster"]).head(limit or len(rows))


def partly_random(sequence: str, draws: np.random.Generator) -> str:
    """Returns a copy in which 12 of 20 pieces are uniformly random bases (DeePromoter's negatives).

    Args:
        sequence: the bases.
        draws: the random state.
    """
    edges = np.linspace(0, len(sequence), PIECES + 1).round().astype(int).tolist()
    pieces = [sequence[start:end] for start, end in pairwise(edges)]
    for number in draws.choice(PIECES, size=REPLACED, replace=False).tolist():
        pieces[number] = "".join(draws.choice(list("ACGT"), size=len(pieces[number])))
    return "".join(pieces)


def _promoter_ecoli(file: Path, limit: int | None) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(file, names=["promoter", "name", "sequence"], dtype=str, skipinitialspace=True, nrows=limit)
    frame = frame.apply(lambda column: column.str.strip())
    return frame.assign(sequence=frame["sequence"].str.upper())


def _enhancer(file: Path, limit: int | None) -> pd.DataFrame:
    frame = read_table(file, limit=limit).rename(columns={"label": "enhancer"})
    return frame.assign(split=np.where(frame["split"] == "ind", "test", "train"))


def _nucleosome(file: Path, limit: int | None) -> pd.DataFrame:
    frame = read_table(file, limit=limit).rename(columns={"label": "nucleosome"})
    return frame.assign(cluster=cluster_by_stretch(frame["sequence"]))


def _tf_binding(file: Path, limit: int | None) -> pd.DataFrame:
    frame = read_table(file, limit=limit).rename(columns={"label": "bound"})
    return frame.assign(chromosome=frame["id"].str.partition(":")[0])


def _mpra(file: Path, limit: int | None) -> pd.DataFrame:
    from mammal.tasks.sources.genomic_variants import saturation_mutagenesis

    references = local_copy(f"{MPRA}/reference_sequences_reconstructed.csv", file.parents[1], REFERENCES)
    return saturation_mutagenesis(file, references, limit)


def _clinvar(file: Path, limit: int | None) -> pd.DataFrame:
    from mammal.tasks.sources.genomic_variants import clinvar_windows

    return clinvar_windows(file, limit)


def _clinvar_snv(file: Path, limit: int | None) -> pd.DataFrame:
    from mammal.tasks.sources.genomic_variants import clinvar_windows

    return clinvar_windows(file, limit, only_snv=True)


def _windows(file: Path, limit: int | None) -> pd.DataFrame:
    """Sequences of the sets in `PLAIN`, for tasks without labels; artificial negatives are left out."""
    import pandas as pd

    frames = []
    for name in PLAIN:
        source = SETS[name]
        frame = source.read(local_copy(source.file, file.parents[1], source.origin), limit)
        real = frame[frame["promoter"] == "1"] if name == "promoter_tata" else frame
        frames.append(real[["sequence"]].assign(sequence=real["sequence"].str.upper(), set=name))
    joined = pd.concat(frames, ignore_index=True).drop_duplicates("sequence", ignore_index=True)
    return joined.assign(cluster=cluster_by_stretch(joined["sequence"])).head(limit or len(joined))


PLAIN = ("enhancer", "promoter_tata", "nucleosome", "tf_binding")
"""Sets whose sequences form the set `windows`."""
MPRA = "dna_snp_mpra_satmut"
CLINVAR = "dna_snp_clinvar_windows/my_processed_clinvar.parquet"
CLINVAR_ORIGIN = "github.com/danilgarmaev/genomic_interpretability data/processed/my_processed_clinvar.parquet"
REFERENCES = "the file's own column Ref, joined by position: element,release,chrom,start,end,ref_sequence"
SETS = {
    "promoter": GenomicsSet(
        "dna_promoter_dnabert_sample/dev.csv.gz",
        "github.com/jerryji1993/DNABERT examples/sample_data/ft/6/dev.tsv, its 6-mers joined: sequence,label",
        _promoter,
    ),
    "promoter_tata": GenomicsSet(
        "dna_promoter_deepromoter/hs_pos_TATA.txt.gz",
        "github.com/egochao/DeePromoter data/human/TATA/hs_pos_TATA.txt",
        _promoter_tata,
    ),
    "promoter_ecoli": GenomicsSet(
        "dna_promoter_uci_ecoli/promoters.data",
        "the UCI repository, Molecular Biology (Promoter Gene Sequences)",
        _promoter_ecoli,
    ),
    "enhancer": GenomicsSet(
        "dna_enhancer_iEnhancer/enhancers.csv.gz",
        "github.com/khanhlee/bert-enhancer data/, as id,sequence,label,split (cv or ind)",
        _enhancer,
    ),
    "nucleosome": GenomicsSet(
        "dna_nucleosome_pybiomed/h_sapiens_nucleosome.csv.gz",
        "the source archive of PyBioMed 1.0, example/dna/H_sapiens_{pos,neg}.fasta, as sequence,label",
        _nucleosome,
    ),
    "tf_binding": GenomicsSet(
        "dna_tfbs_lsgkm_nfe2/nfe2_gm12878.csv.gz",
        "github.com/Dongwon-Lee/lsgkm tests/, as id,sequence,label",
        _tf_binding,
    ),
    "mpra": GenomicsSet(
        f"{MPRA}/elements.tsv.gz", "github.com/kircherlab/MPRA_SaturationMutagenesis data/elements.tsv.gz", _mpra
    ),
    "clinvar": GenomicsSet(CLINVAR, CLINVAR_ORIGIN, _clinvar),
    "clinvar_snv": GenomicsSet(CLINVAR, CLINVAR_ORIGIN, _clinvar_snv),
    "windows": GenomicsSet(
        "dna_enhancer_iEnhancer/enhancers.csv.gz",
        "github.com/khanhlee/bert-enhancer data/, as id,sequence,label,split (cv or ind)",
        _windows,
    ),
}
