"""Look for faults in the data of a task before training, and write a page about them.

    mammal check-data assays.csv task=assays --config-dir .    a file, as the data of a task
    mammal check-data task=esol                                the data that the task declares
    mammal check-data assays.csv task=task/assays.yaml fail_on=warning

Looks for rows that can't be read, empty and unknown labels, rare classes, repeats and conflicting labels, mixed units
and logarithms, outliers among similar rows, probably wrong classes, leaks across the split, rows that are too long, and
unusual molecules, residues, bases and numbers. Prints the findings, worst first; writes check.json, findings.csv (one
line for each flagged row) and check.html. The exit code is 1 if there is an error (`fail_on=`), else 0. Nothing is
changed, and no model is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError, did_you_mean

FAIL_ON = ("error", "warning", "never")


def run(argv: Sequence[str]) -> int:
    return run_verb("check-data", argv, lambda config, config_dirs: _work(plain(config), config_dirs))


def _work(options: Mapping[str, Any], config_dirs: Sequence[Path]) -> int:
    fail_on = str(options["fail_on"])
    if fail_on not in FAIL_ON:
        hint = did_you_mean(fail_on, FAIL_ON, noun="value")
        raise ConfigError(f"fail_on is {fail_on!r}", where="mammal check-data", hint=hint)
    from mammal.data_check.api import check_data
    from mammal.data_check.save import PAGE

    name = Path(str(options["task"])).stem
    output = Path(options["output"] or Path("data_check") / name).expanduser()
    found = check_data(
        options["task"],
        options["input"],
        output=output,
        limit=options["limit"],
        neighbours=options["neighbours"],
        label_noise=options["label_noise"],
        config_dirs=config_dirs,
        paths={"data": options["paths"]["data"]} if options["paths"]["data"] else None,
    )
    for line in found.lines():
        console.out(line)
    console.note(f"written: {output / PAGE}")
    return int(found.fails(fail_on))
