"""Add properties of the molecules of a file as columns: molecular weight, logP, QED, TPSA and others, by RDKit.

    mammal properties input=library.smi output=library.parquet
    mammal properties 'input=lib/*.smi.gz' output=library.sdf
    mammal properties input=chemicals output=compounds.parquet properties=[mw,logp,rings]

A task can use such columns as conditions (configs/task/moses.yaml). The properties are mw (g/mol), logp, tpsa (Å²),
qed, hbd, hba, rotatable_bonds, rings, aromatic_rings, heavy_atoms and fsp3. Rows without a molecule are listed
with the reason in an errors file next to the output (library.errors.parquet), and the exit code is 3. In a csv or tsv
output they also stay in their place, without properties (keep_rows=false leaves them out). To continue a job that was
interrupted, run the same command again. engine=ray computes on several machines (docs/cluster.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mammal.commands.rows import follow_job
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    return run_verb("properties", argv, _work)


def _work(config: DictConfig, _: object) -> int:
    from mammal.jobs.properties_job import properties_job

    options = plain(config)
    if isinstance(options["properties"], str):
        options["properties"] = [options["properties"]]
    return follow_job("properties", partial(properties_job, **options))
