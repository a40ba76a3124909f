"""Make a verified table of structures and IUPAC names: each name is read back and must give the same molecule.

    mammal names input=library.smi output=pairs.parquet
    mammal names input=library.csv smiles=SMILES names=Name output=pairs.parquet   names of the file
    mammal names input=chemicals names=pubchem_name output=pairs.parquet             70,000 names of the package

openclatura generates the names, and OPSIN reads them. Install both with pip install 'mammal[iupac]'; OPSIN also needs
Java. Without Java, names can be generated with keep=unverified. The output has the new columns canonical (SMILES),
iupac, smiles_by_name (the molecule with its atoms in the order in which the name mentions them) and outcome: exact,
doubtful, stereo, isotope, tautomer, charge, other, unread, unnamed or unverified.
Rows that are not exact are listed with the reason in an errors file next to the output (pairs.errors.parquet), and the
exit code is 3. In a csv or tsv output they also stay in their place, without a name (keep_rows=false leaves them out).
To continue a job that was interrupted, run the same command again. engine=ray computes on several machines
(docs/cluster.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mammal import console
from mammal.commands.rows import follow_job
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.jobs.engine import Follow, JobReport


def run(argv: Sequence[str]) -> int:
    return run_verb("names", argv, _work)


def _work(config: DictConfig, _: object) -> int:
    from mammal.jobs.names_job import count_outcomes, names_job
    from mammal.tasks.names import opsin

    options = plain(config)
    lacking = opsin.why_missing()
    if lacking is not None and options["names"] is None:
        console.note(f"names are generated but not read back: {lacking.what}")

    def job(progress: Follow) -> JobReport:
        report = names_job(**options, progress=progress)
        console.note(rates(count_outcomes(report, options["prefix"])))
        return report

    return follow_job("names", job)


def rates(counts: Counter[str]) -> str:
    """Returns one line with the number of molecules with a name, of names that could be read, and of exact names.

    Args:
        counts: number of rows for each outcome.
    """
    molecules = counts.total() - counts["invalid"]
    named = molecules - counts["unnamed"]
    if counts["unverified"]:
        return f"{molecules:,} molecules · {_share(named, molecules, 'named')} · none verified, because Java is missing"
    read = named - counts["unread"]
    parts = [f"{molecules:,} molecules", _share(named, molecules, "named"), _share(read, named, "of these names read")]
    parts.append(_share(counts["exact"], named, "exact"))
    apart = ("doubtful", "stereo", "isotope", "tautomer", "charge", "other")
    near = [f"{counts[word]:,} {word}" for word in apart if counts[word]]
    return " · ".join([*parts, *near])


def _share(part: int, whole: int, word: str) -> str:
    return f"{part:,} {word} ({part / whole:.1%})" if whole else f"{part:,} {word}"
