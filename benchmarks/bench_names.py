"""Number of tokens of IUPAC names: in our alphabet, in the published ones, in plain characters, and of the SMILES.

Names are 2,000 of those in the PyPI package `chemicals`, sampled with a fixed seed, each with the SMILES of the same
compound. The published vocabulary (`--tokenizer`) has no alphabet for names. A user of the published model would have
to write them in another alphabet: the table has its SMILES alphabet, which covers most of their letters, and its AA
alphabet.
"""

from __future__ import annotations

import random

from alphabets import Cut, cut
from common import MEASURED, Options, Row, run_as_script

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.sources import chemicals
from mammal.tokenization import Tokenizer

NAMES, SMOKE_NAMES = 2_000, 50
WHOLE = "nothing unknown or lost"


def measure(chosen: Options) -> list[Row]:
    names, smiles = sample(SMOKE_NAMES if chosen.smoke else NAMES)
    ours = Tokenizer.load(None)
    theirs = Tokenizer.load(chosen.tokenizer) if chosen.tokenizer else None
    letters = sum(map(len, names)) / len(names)
    as_name, as_smiles = cut(ours, "IUPAC", names), cut(ours, "SMILES", smiles)
    drawn = f"{len(names):,} molecules of `chemicals`"
    rows = [
        _row(f"IUPAC names of {drawn}, {letters:.1f} characters each", as_name, theirs, "SMILES", names),
        _row("the same names, the published AA alphabet", as_name, theirs, "AA", names),
        _row("their SMILES", as_smiles, theirs, "SMILES", smiles),
        Row(
            "a name against its characters",
            measured=f"{letters / (as_name.tokens / len(names)):.2f} characters a token",
            ours=f"{as_name.tokens / len(names):.1f} tokens a name",
            theirs=f"{letters:.1f} (one token a character)",
        ),
        Row(
            "a name against the SMILES of the same molecule, both ours",
            measured=f"{as_name.tokens / as_smiles.tokens:.2f} × the tokens",
            ours=f"{as_name.tokens / len(names):.1f} and {as_smiles.tokens / len(names):.1f} tokens",
        ),
    ]
    return rows if theirs is not None else [row for row in rows if "published" not in row.what]


def sample(count: int) -> tuple[list[str], list[str]]:
    """Returns names and SMILES of compounds that have both, sampled uniformly."""
    table = chemicals.load(DataConfig(source="chemicals", name="molecules"), None)
    table = table[(table["iupac"] != "") & (table["smiles"] != "")]
    rows = random.Random(0).sample(range(len(table)), count)
    return table["iupac"].iloc[rows].tolist(), table["smiles"].iloc[rows].tolist()


def _row(what: str, ours: Cut, tokenizer: Tokenizer | None, alphabet: str, texts: list[str]) -> Row:
    theirs = cut(tokenizer, alphabet, texts) if tokenizer is not None else None
    return Row(
        what,
        measured=WHOLE if ours.whole else str(ours),
        target=WHOLE,
        met=ours.whole,
        ours=_mean_length(ours),
        theirs=f"{_mean_length(theirs)}, {theirs}" if theirs else "",
        source=MEASURED if theirs else "",
    )


def _mean_length(count: Cut) -> str:
    return f"{count.tokens / count.texts:.1f} tokens each"


if __name__ == "__main__":
    run_as_script(__doc__, measure)
