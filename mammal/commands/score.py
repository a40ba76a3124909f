"""Compute the log-likelihood of a target given an input for every row of a file, or the effect of variants.

mammal score bundle=mammal-tiny task=pretrain_properties input=library.csv output=likelihoods.csv
mammal score bundle=FOLDER prompt='…<EOS>' target='…<EOS>'
mammal score bundle=FOLDER input=calls.vcf.gz reference=genome.fa output=scored.vcf.gz
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.commands import rows, score_variants
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    return run_verb("score", argv, _work)


def _work(config: DictConfig, config_dirs: Sequence[Path]) -> int:
    options = plain(config)
    about_variants = {name: options.pop(name) for name in score_variants.KEYS}
    if score_variants.is_meant(options, about_variants):
        return score_variants.answer_variants(options, about_variants, config_dirs)
    return rows.answer_rows("score", options, config_dirs)
