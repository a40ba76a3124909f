"""Cut windows of a genome around the variants of a file, for training, prediction or inspection.

mammal windows input=calls.vcf.gz reference=genome.fa output=windows.parquet
mammal windows input=calls.vcf.gz reference=genome.fa output=maternal.parquet rendering=haplotype_1 sample=NA12878
mammal windows input=manifest.csv output=loci.csv
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

VERB = "windows"


def run(argv: Sequence[str]) -> int:
    """Cuts the windows.

    Args:
        argv: words after `mammal windows`.

    Returns:
        The exit code: 3 if some records have no window.
    """
    return run_verb(VERB, argv, _work)


def _work(config: DictConfig, _: object) -> int:
    options = plain(config)
    for name in ("sample", "region"):
        if options[name] is not None:
            options[name] = str(options[name])
    from mammal.jobs.windows_job import windows_job

    given, output = options.pop("input"), options.pop("output")
    return follow_job(VERB, partial(windows_job, given, output, **options))
