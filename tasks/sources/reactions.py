"""`source: reactions`: reactions from patents (Lowe's USPTO set), from local copies below `paths.data`.

    name            train                                   valid, test
    uspto15k        10,500 as published, without those      1,500 and 3,000 as published (Jin et al. 2017)
                    with a product of valid or test
    uspto15k_wide   these, uspto_full and uspto_mit         the same
    uspto50k        uspto15k, uspto_full and uspto_mit      5,001 and 5,007 as published (Schneider et al. 2016, Liu et
                                                            al. 2017); its own train part is not in the copies
    uspto_mit       uspto15k and uspto_full                 30,000 and 40,000 as published (Jin et al. 2017)

Columns are `reactants`, `reagents`, `precursors` (both) and `product` as canonical SMILES without map numbers, `class`
(USPTO-50k's ten, else empty), `table` and `split`. A molecule is a reactant if the product contains atoms of it
(`mammal.tasks.reactions.mapped`). A model that gets only the reactants therefore gets this part of the answer;
`precursors` does not give it away. With `data.aligned: reactants` or `product`, the atoms of that column are in the
order of the other side (`mammal.tasks.reactions.writing`).

A training reaction is left out if its main product, stereo ignored, is that of a valid or test row of the same set. All
sets except uspto15k also leave out the products of the valid and test rows of both uspto15k and uspto50k, so that a
model of one set can be evaluated on the other. Reactions that RDKit can't read are left out of train; in other parts
they are kept as they are written, and the task reports them. The tables are cached for the next run
(`mammal.tasks.sources.kept`), because reading all of them takes minutes.
"""

from __future__ import annotations

import logging
import lzma
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.molecules.chemistry import flat_or_none
from mammal.tasks.reactions.mapped import Reaction, from_edits, from_maps
from mammal.tasks.reactions.sets import main_molecule
from mammal.tasks.reactions.writing import written
from mammal.tasks.sources.kept import kept
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name, limited
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

logger = logging.getLogger(__name__)

VERSION = 2
"""Version of the cached tables; raise it when the same files give different rows."""

FILES = {
    "uspto15k_train": ("uspto15k/train.txt.gz", "github.com/wengong-jin/nips17-rexgen (USPTO-15K/data.zip)"),
    "uspto15k_valid": ("uspto15k/valid.txt.gz", "github.com/wengong-jin/nips17-rexgen (USPTO-15K/data.zip)"),
    "uspto15k_test": ("uspto15k/test.txt.gz", "github.com/wengong-jin/nips17-rexgen (USPTO-15K/data.zip)"),
    "uspto_mit_valid": ("uspto_mit/valid.txt.gz", "github.com/connorcoley/rexgen_direct (rexgen_direct/data)"),
    "uspto_mit_test": ("uspto_mit/test.txt.gz", "github.com/connorcoley/rexgen_direct (rexgen_direct/data)"),
    "uspto50k_valid": ("uspto50k/eval.csv.gz", "github.com/vsomnath/graphretro (datasets/uspto-50k)"),
    "uspto50k_test": ("uspto50k/test.csv.gz", "github.com/vsomnath/graphretro (datasets/uspto-50k)"),
    "uspto_full": ("uspto_full_gln/uspto_valT.csv.xz", "github.com/bigchem/synthesis (uspto-full)"),
}
"""Table -> path of its local copy, and its origin."""

_15K, _50K, _MIT = (
    ("uspto15k_valid", "uspto15k_test"),
    ("uspto50k_valid", "uspto50k_test"),
    ("uspto_mit_valid", "uspto_mit_test"),
)
SETS = {
    "uspto15k": (("uspto15k_train",), _15K, ()),
    "uspto15k_wide": (("uspto15k_train", "uspto_full", *_MIT), _15K, _50K),
    "uspto50k": (("uspto15k_train", "uspto_full", *_MIT), _50K, _15K),
    "uspto_mit": (("uspto15k_train", "uspto_full"), _MIT, (*_15K, *_50K)),
}
"""Set -> tables of train, tables of valid and test, and other tables with products that must not be in train."""

SIDES = ("reactants", "product")


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above.

    Raises:
        TaskError: no such set, or `data.aligned` names no side.
        DataError: no local copy.
    """
    import pandas as pd

    name = known_name(data.name, SETS, "reactions")
    if data.aligned is not None and data.aligned not in SIDES:
        hint = did_you_mean(data.aligned, SIDES, noun="side of a reaction")
        raise TaskError(f"data.aligned is {data.aligned!r}", hint=hint)
    train, held_out, unseen = SETS[name]
    frames = [_table(table, root).assign(**{SPLIT_COLUMN: table.rpartition("_")[2]}) for table in held_out]
    hidden = {key for frame in frames for key in frame["key"]}
    for table in unseen:
        hidden |= set(_table(table, root)["key"])
    for table in train:
        frame = _table(table, root).assign(**{SPLIT_COLUMN: "train"})
        frame = frame[frame["key"] != ""]
        known = frame["key"].isin(hidden)
        logger.info("%s: %d reactions whose product is held out are left out of train", table, int(known.sum()))
        frames.append(frame[~known])
    every = limited(pd.concat(frames, ignore_index=True), data.limit)
    if data.aligned is not None:
        every = every.assign(**{data.aligned: every[f"aligned_{data.aligned}"]})
    return every.drop(columns=["key", *(f"aligned_{side}" for side in SIDES)])


def _table(name: str, root: Path | None) -> pd.DataFrame:
    path, origin = FILES[name]
    file = local_copy(path, root, origin)
    return kept(f"reactions-{name}", VERSION, [file], partial(_read, name, file))


def _read(name: str, file: Path) -> pd.DataFrame:
    """Every reaction of a file with the columns of `written`, and `key`: the main product without stereo.

    The key is "" for reactions that can't be read.
    """
    import pandas as pd

    logger.info("%s: reading reactions; the result is kept", file)
    rows = []
    for texts, label, reaction in _reactions(name, file):
        try:
            found = written(reaction())
        except DataError as error:
            logger.info("%s: %s", name, error)
            rows.append({**_as_written(*texts), "key": "", "class": label})
        else:
            rows.append({**found, "key": flat_or_none(main_molecule(found["product"])) or "", "class": label})
    return pd.DataFrame(rows).assign(table=name)


def _as_written(precursors: str, product: str) -> dict[str, str]:
    sides = {"reactants": precursors, "aligned_reactants": precursors, "product": product, "aligned_product": product}
    return {**sides, "reagents": "", "precursors": precursors}


def _reactions(name: str, file: Path) -> Iterator[tuple[tuple[str, str], str, Callable[[], Reaction]]]:
    """For each line: both sides as they are written, the class, and a function that parses the reaction."""
    from mammal.tasks.tables.lines import open_text
    from mammal.tasks.tables.readers import iter_rows

    if name == "uspto_full":
        import csv

        with lzma.open(file, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                yield (row["target"], row["input"]), "", partial(from_maps, row["target"], row["input"])
    elif name.startswith("uspto50k"):
        for row in iter_rows(file):
            before, _, product = row["reactants>reagents>production"].split(">")
            yield (before, product), row["class"], partial(from_maps, before, product)
    else:
        with open_text(file) as lines:
            for line in lines:
                reaction, edits = line.split()
                before, _, product = reaction.split(">")
                read = partial(from_edits, before, product, edits) if ":" not in product else None
                yield (before, product), "", read or partial(from_maps, before, product)
