"""Write the results of a run to one self-contained HTML page.

mammal report run=demo
mammal report run=demo 'predictions=[demo/molecules.csv]' samples=demo/samples.csv output=page.html
mammal report run=demo explain=3 'explanations=[demo/explained.csv]'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.compose import run_verb

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    return run_verb("report", argv, _work)


def _work(config: DictConfig, _: object) -> int:
    from pathlib import Path

    from mammal.overwriting import refuse_overwriting
    from mammal.report.gather import check_page, report, write_report

    output = Path(config.output).expanduser()
    given = {f"file of predictions {file}": file for file in config.predictions}
    given |= {f"file of explanations {file}": file for file in config.explanations}
    refuse_overwriting({"page": output}, given | ({"file of samples": config.samples} if config.samples else {}))
    check_page(output)
    html = report(
        Path(config.run),
        predictions=[Path(file) for file in config.predictions],
        samples=Path(config.samples) if config.samples else None,
        explanations=[Path(file) for file in config.explanations],
        explain=config.explain,
        title=config.title,
    )
    write_report(html, output)
    console.out(str(output))
    return 0
