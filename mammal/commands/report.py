"""Write the results of a run to one self-contained HTML page.

mammal report run=demo
mammal report run=demo 'predictions=[predicted.csv]' samples=demo/samples.csv output=page.html
mammal report run=demo explain=3 'explanations=[demo/explained.csv]'
mammal report run=demo 'compare=[demo/from_nothing]'
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
    predictions, explanations = _files(config.predictions), _files(config.explanations)
    given = {f"file of predictions {file}": file for file in predictions}
    given |= {f"file of explanations {file}": file for file in explanations}
    refuse_overwriting({"page": output}, given | ({"file of samples": config.samples} if config.samples else {}))
    check_page(output)
    html = report(
        Path(config.run),
        predictions=[Path(file) for file in predictions],
        samples=Path(config.samples) if config.samples else None,
        explanations=[Path(file) for file in explanations],
        explain=config.explain,
        compare=[Path(folder).expanduser() for folder in _files(config.compare)],
        title=config.title,
    )
    write_report(html, output)
    console.out(str(output))
    return 0


def _files(value: str | Sequence[str]) -> list[str]:
    """The files of a key, which can also be one file."""
    return [value] if isinstance(value, str) else list(value)
