"""Compute how much each atom, residue, base or token of a row contributes to its prediction.

    mammal explain bundle=demo/bundle task=melting_point input=few.csv output=explained.parquet page=explain.html
    mammal explain bundle=demo/bundle task=bbbp input=few.csv output=effects.csv method=occlusion
    mammal explain bundle=demo/bundle task=bbbp input=few.csv               print one line for each part

Integrated gradients (needs the extra `explain`) give numbers that sum to the output of the row minus that of a
baseline, in which your values are masked. Occlusion masks substructures, or windows of sequences. A regression is
explained in its unit, a classification in log-odds of a label. Atoms are numbered in the SMILES that the model reads,
which is in the column `read`. Rows that can't be read are treated as by `mammal predict`, and an interrupted job is
continued in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.commands import rows
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    return run_verb("explain", argv, _work)


def _work(config: DictConfig, config_dirs: Sequence[Path]) -> int:
    options = plain(config)
    page, page_rows = options.pop("page"), options.pop("page_rows")
    output, prefix = options["output"], options["prefix"]
    if options["label"] is not None:
        options["label"] = str(options["label"])
    if page is not None:
        _check_page(page, options)
    if options["output"] is None and options["long"] is None:
        options["long"] = True  # lines of text hold no lists
    code = rows.answer_rows("explain", options, config_dirs)
    if page is not None:
        from mammal.report.explain_page import explanations_page
        from mammal.report.gather import write_report

        html = explanations_page(output, rows=page_rows, prefix=prefix)
        write_report(html, Path(page).expanduser())
        console.note(f"drawings of the first rows in {page}")
    return code


def _check_page(page: str, options: dict[str, Any]) -> None:
    """Refuses a page that can't be made or would replace something, before the model is opened."""
    from mammal.overwriting import refuse_overwriting
    from mammal.report.gather import check_page

    if options["output"] is None:
        raise ConfigError("a page is made from an output", where="page", hint="output=explained.parquet")
    read = {name: options[name] for name in ("input", "output") if isinstance(options[name], str)}
    refuse_overwriting({"page": Path(page).expanduser()}, read)
    check_page(Path(page).expanduser())
