"""`source: texts`: molecules and proteins with descriptions or names in words, from local copies below `paths.data`.

    chebi20         smiles description cid split     ChEBI-20 (Edwards et al. 2021): see below
    protein_names   sequence name origin id family   proteins of annotated FASTA files and the names in their headers

**ChEBI-20.** The training part of 26,407 molecules is too large for the public repository that holds the other two
parts. Train is therefore the published validation part, of which a seeded tenth of the molecules is held out as valid;
test is the published test part. Results are not comparable with those of models trained on the full training part.

**Protein names.** The names are from the headers of three collections, cleaned by
`mammal.tasks.sequences.protein_names`. Proteins without a name are left out; of equal sequences the first is kept. The
column `family` numbers families of sequences at about half identity (`mammal.tasks.sequences.families`). A group split
by it keeps families together: test proteins may share a name with training proteins, but have no close relative there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.sequences.protein_names import first_name, product_name, respelt, spellings
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name, limited, with_valid
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

CHEBI20 = "github.com/blender-nlp/MolT5, ChEBI-20_data/"
PROKKA = "github.com/tseemann/prokka, db/"
MMSEQS = "the Debian package mmseqs2-examples, example-data/DB.fasta.gz"
YEAST = "github.com/SysBioChalmers/yeast-GEM, data/databases/swissprot.tsv"

IDENTITY = 0.5
"""Sequence similarity from which on proteins belong to one family."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set.
        DataError: no local copy.
    """
    sets = {"chebi20": _chebi20, "protein_names": _protein_names}
    name = known_name(data.name, sets, "texts")
    return limited(sets[name](root, data.split_seed), data.limit)


def _chebi20(root: Path | None, seed: int) -> pd.DataFrame:
    import pandas as pd

    from mammal.tasks.molecules.chemistry import flat_or_none

    frames = []
    for part, file in (("train", "validation"), ("test", "test")):
        path = local_copy(f"chebi20/{file}.txt.gz", root, CHEBI20)
        rows = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3, encoding="utf-8")
        frames.append(rows.rename(columns={"CID": "cid", "SMILES": "smiles"}).assign(**{SPLIT_COLUMN: part}))
    frame = pd.concat(frames, ignore_index=True)
    return with_valid(frame, [flat_or_none(text) or text for text in frame["smiles"]], seed)


def _protein_names(root: Path | None, seed: int) -> pd.DataFrame:
    import pandas as pd

    from mammal.tasks.sequences.families import families

    frames = [_prokka(root), _mmseqs(root)]
    known = spellings(name for frame in frames for name in frame["name"].dropna())
    frames.append(_yeast(root, known))
    frame = pd.concat(frames, ignore_index=True).dropna(subset="name")
    frame = frame.drop_duplicates("sequence").reset_index(drop=True)
    return frame.assign(family=families(frame["sequence"].tolist(), IDENTITY).astype(str))


def _prokka(root: Path | None) -> pd.DataFrame:
    """Proteins of prokka; descriptions have the form `EC~~~gene~~~product`, some with a further field."""
    rows = read_table(local_copy("pretrain_proteins/prokka_sprot.fasta.gz", root, PROKKA))
    products = [text.split("~~~")[2] if text.count("~~~") >= 2 else text for text in rows["description"]]
    return _named(rows, products, "prokka")


def _mmseqs(root: Path | None) -> pd.DataFrame:
    """Proteins with UniProt headers: the name ends before ` OS=`, which names the organism."""
    rows = read_table(local_copy("pretrain_proteins/mmseqs2_examples_db.fasta.gz", root, MMSEQS))
    return _named(rows, [text.partition(" OS=")[0] for text in rows["description"]], "uniprot")


def _yeast(root: Path | None, known: dict[str, str]) -> pd.DataFrame:
    """Yeast proteins; headers have the form `ACCESSION|all names in lower case`.

    The first name is used, with the capitals that it has in the other files.
    """
    rows = read_table(local_copy("pretrain_proteins/yeast_swissprot_named.fasta.gz", root, YEAST))
    headers = (rows["id"] + " " + rows["description"]).str.partition("|")[2]
    return _named(rows, [respelt(first_name(text), known) for text in headers], "yeast")


def _named(rows: pd.DataFrame, products: list[str], origin: str) -> pd.DataFrame:
    named = rows[["id", "sequence"]].assign(name=list(map(product_name, products)), origin=origin)
    return named[["sequence", "name", "origin", "id"]]
