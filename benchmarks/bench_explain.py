"""Whether explanations find what is known to decide: three tasks with a planted signal (`planted_signals.py`).

For each task a model of the size `debug` is trained from scratch on 2,000 rows. Of 200 other rows, 100 have the signal:
their attributions are compared with it as scores of atoms, residues or bases (AUROC of each row, and their mean).
"Completeness" is the largest share of output - baseline that the attributions of a row miss.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import Options, Row, progress, run_as_script
from planted_signals import PLANTED, Planted, found_signal, trained

LEAST = 0.9
TOLERANCE = 0.01


def measure(chosen: Options) -> list[Row]:
    return [row for planted in PLANTED for row in rows_of(planted, smoke=chosen.smoke)]


def rows_of(planted: Planted, *, smoke: bool) -> list[Row]:
    progress(f"{planted.name}: training")
    model = trained(planted, planted.rows(64 if smoke else 2_000, seed=1))
    held_out = planted.rows(8 if smoke else 200, seed=2)
    accuracy = float(np.mean(model.predict(held_out)["prediction"] == [row["label"] for row in held_out]))
    with_signal = [row for row in held_out if row["label"] == "yes"]
    methods: dict[str, dict[str, Any]] = {
        "integrated gradients": {},
        "integrated gradients, baseline=pad": {"baseline": "pad"},
        "occlusion": {"method": "occlusion"},
    }
    return [_row(planted, name, model, with_signal, accuracy, how) for name, how in methods.items()]


def _row(planted: Planted, name: str, model: Any, rows: list[Any], accuracy: float, how: dict[str, Any]) -> Row:
    progress(f"{planted.name}: {name}")
    start = time.perf_counter()
    explained = model.explain(rows, **how)
    seconds = time.perf_counter() - start
    found = found_signal(planted, explained)
    details = f"{seconds / len(rows):.2f} s a row"
    if "difference" in explained:
        share = explained["difference"].abs() / (explained["output"] - explained["baseline"]).abs().clip(lower=0.1)
        steps = explained["steps"].astype(int)
        details += f", {int(steps.median())} steps (at most {steps.max()}), completeness {share.max():.4f}"
    what = f"{planted.name}: {name}, {len(rows)} rows; accuracy of the model {accuracy:.3f}"
    return Row(what, f"AUROC {found:.3f}", f"AUROC {LEAST}", found >= LEAST, ours=details)


if __name__ == "__main__":
    run_as_script(__doc__, measure)
