"""Properties of the molecules of a file as columns: molecular weight, logP, QED, TPSA and others, computed by RDKit.

    mammal properties input=library.smi output=library.parquet
    mammal properties input=chemicals output=compounds.parquet properties=[mw,logp,rings]

Such columns are what a task's conditions may be (configs/task/moses.yaml). Known are mw (g/mol), logp, tpsa (Å²), qed,
hbd, hba, rotatable_bonds, rings, aromatic_rings, heavy_atoms and fsp3. Rows without a molecule end in
OUTPUT.errors.parquet with their reason, and the exit code is 3. A job that was cut off goes on where it was when the
same command is given again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mammal.commands.rows import check_whole, follow_job
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    return run_verb("properties", argv, _work)


def _work(config: DictConfig) -> int:
    from mammal.jobs.properties_job import properties_job

    options = plain(config)
    check_whole("properties", options, ("workers", "shard_rows"))
    if isinstance(options["properties"], str):
        options["properties"] = [options["properties"]]
    return follow_job("properties", partial(properties_job, **options))
