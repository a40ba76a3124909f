"""This version beside an earlier one: what a user of a small model waits for.

    git worktree add EARLIER f5870d5, and an environment in it with `pip install -e EARLIER`
    MAMMAL_BENCH_EARLIER=EARLIER/.venv/bin/python python benchmarks/bench_earlier.py

Both versions run the same jobs (`earlier_worker.py`) alternately, each in its own process on one thread, and count
processor time. Sampling uses the weights of the demo, which the earlier version trains once. Predictions use random
weights in a bundle of nine tasks, which the earlier version writes. Jobs of whole processes run once before they are
timed, so that the byte code of both versions is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import Options, Row, Turns, at_least, at_most, progress, run_as_script

EARLIER_VARIABLE = "MAMMAL_BENCH_EARLIER"
SOURCE = "earlier version, side by side, processor time"
WORKER = Path(__file__).with_name("earlier_worker.py")
WHOLE_PROCESSES = ("catalogue", "one_row", "predict_memory")


def measure(chosen: Options) -> list[Row]:
    earlier = os.environ.get(EARLIER_VARIABLE)
    if not earlier:
        progress(f"{EARLIER_VARIABLE} names no Python of an earlier version: nothing to compare with")
        return []
    pythons = {"ours": sys.executable, "earlier": earlier}
    bundle = demo_bundle(chosen, earlier)
    n, sites = (16, 3) if chosen.smoke else (512, 40)
    rows = sampled(chosen, pythons, bundle, n)
    rows += [
        compared(chosen, pythons, f"one row, a step of the decoder, {shape}", 1.5, "step", shape, {"rows": 1})
        for shape in ("mini", "tiny")
    ]
    both = ["likelihood", "embedding"]
    for what, target in ((["likelihood"], 2.8), (both, 1.7)):
        about = f"variants, three alternates at {sites} sites, {' and '.join(what)}, mini"
        rows.append(compared(chosen, pythons, about, target, "variants", "mini", {"sites": sites, "what": what}))
    rows.append(compared(chosen, pythons, "mammal tasks", 10, "catalogue", "", {}))
    mini, tiny = (str(random_bundle(chosen, earlier, shape)) for shape in ("mini", "tiny"))
    rows += [predicting(chosen, pythons, mini, "mini", 0.84), predicting(chosen, pythons, tiny, "tiny", 0.96)]
    count = 200 if chosen.smoke else 20_000
    what = f"peak memory of `mammal predict`, {count:,} molecules, mini"
    rows.append(bounded(chosen, pythons, what, 0.7, "GB", "predict_memory", mini, {"rows": count}))
    rows.append(described(chosen, pythons, 10 if chosen.smoke else 200))
    rows.append(share_of_time(chosen, pythons, "mammal predict, one row, whole process", 0.75, "one_row", mini))
    what = "mammal.load for the second time, nine tasks"
    rows.append(bounded(chosen, pythons, what, 0.4, "s", "second_load", mini, {}))
    return rows


def random_bundle(chosen: Options, python: str, shape: str) -> Path:
    """A bundle of nine tasks with random weights; written once, by the earlier version."""
    folder = chosen.cache / f"random-{shape}"
    if not (folder / "config.json").is_file():
        command = [python, str(WORKER), "bundle", str(folder), json.dumps({"shape": shape})]
        subprocess.run(command, capture_output=True, check=True, cwd=chosen.cache, env=environment(chosen))
    return folder


def predicting(chosen: Options, pythons: dict[str, str], bundle: str, shape: str, target: float) -> Row:
    """The rate of a job that predicts, as a share of that of the model alone on the same batches, encoded before."""
    count = 200 if chosen.smoke else {"mini": 8_000, "tiny": 2_000}[shape]
    took, answers = turns(chosen, pythons, "predict_job", bundle, {"rows": count})
    shares = {side: answers[side]["alone"] / answers[side]["seconds"] for side in pythons}
    apart = max(abs(float(a) - float(b)) for a, b in zip(*(answers[side]["answers"] for side in pythons), strict=True))
    return Row(
        f"predict {count:,} molecules, {shape}, share of the rate of the model alone",
        f"{shares['ours']:.2f}",
        f"≥ {target}",
        shares["ours"] >= target,
        ours=f"{count / took.median('ours'):.0f} per s",
        theirs=f"{count / took.median('earlier'):.0f} per s, share {shares['earlier']:.2f}",
        equal=f"{apart:.1g} apart",
        source=SOURCE,
    )


def bounded(
    chosen: Options,
    pythons: dict[str, str],
    what: str,
    target: float,
    unit: str,
    job: str,
    subject: str,
    how: dict[str, Any],
) -> Row:
    took, _ = turns(chosen, pythons, job, subject, how)
    ours, theirs = took.median("ours"), took.median("earlier")
    return Row(what, **at_most(ours, target, unit), ours="", theirs=f"{theirs:.2f} {unit}", source=SOURCE)


def described(chosen: Options, pythons: dict[str, str], count: int) -> Row:
    took, answers = turns(chosen, pythons, "describe", "", {"count": count})
    ours, theirs = took.median("ours") * 1e3, took.median("earlier") * 1e3
    equal = "the same bits" if answers["ours"]["values"] == answers["earlier"]["values"] else "different"
    what = f"descriptors of {count} molecules, each"
    return Row(what, **at_most(ours, 8, "ms"), theirs=f"{theirs:.1f} ms", equal=equal, source=SOURCE)


def share_of_time(chosen: Options, pythons: dict[str, str], what: str, target: float, job: str, subject: str) -> Row:
    took, _ = turns(chosen, pythons, job, subject, {})
    ours, theirs = took.median("ours"), took.median("earlier")
    measured = at_most(ours / theirs, target, "× the time")
    return Row(what, **measured, ours=f"{ours:.2f} s", theirs=f"{theirs:.2f} s", source=SOURCE)


def demo_bundle(chosen: Options, python: str) -> Path:
    """The bundle of the demo; trained once, by the earlier version, so that both can read it."""
    folder = chosen.cache / ("demo-smoke" if chosen.smoke else "demo")
    if not (folder / "bundle" / "config.json").is_file():
        short = ["trainer.max_steps=20"] if chosen.smoke else []
        words = ["train", "experiment=demo", f"output={folder}", "test=false", *short]
        subprocess.run([python, "-m", "mammal.cli", *words], check=True, cwd=chosen.cache, env=environment(chosen))
    return folder / "bundle"


def sampled(chosen: Options, pythons: dict[str, str], bundle: Path, n: int) -> list[Row]:
    found = {
        constraint: turns(chosen, pythons, "sample", str(bundle), {"n": n, "constraint": constraint})
        for constraint in ("alphabet", "grammar")
    }
    rows = []
    for constraint, target in (("alphabet", 3.0), ("grammar", 8.0)):
        took, answers = found[constraint]
        what = f"{n} sequences of the demo, {'free' if constraint == 'alphabet' else 'by the grammar of SMILES'}"
        same = share_equal(answers["ours"]["texts"], answers["earlier"]["texts"])
        rows.append(row(what, target, took, n, f"{same:.1%} of the texts are equal"))
    return rows


def compared(
    chosen: Options, pythons: dict[str, str], what: str, target: float, job: str, subject: str, how: dict[str, Any]
) -> Row:
    took, answers = turns(chosen, pythons, job, subject, how)
    ours, theirs = (
        next(value for key, value in answers[side].items() if key != "seconds") for side in ("ours", "earlier")
    )
    if job == "variants":
        equal = f"{max(abs(a - b) for a, b in zip(ours, theirs, strict=True)):.1g} apart"
    else:
        equal = "the same" if ours == theirs else "different"
    return row(what, target, took, None, "" if job == "catalogue" else equal)


def row(what: str, target: float, took: Turns, count: int | None, equal: str) -> Row:
    ours, theirs = took.median("ours"), took.median("earlier")
    as_text = (lambda s: f"{count / s:.1f} per s") if count else (lambda s: f"{s:.3g} s")
    ratio = at_least(theirs / ours, target)
    return Row(what, **ratio, ours=as_text(ours), theirs=as_text(theirs), equal=equal, source=SOURCE)


def share_equal(ours: list[str], theirs: list[str]) -> float:
    return sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(ours)


def turns(
    chosen: Options, pythons: dict[str, str], job: str, subject: str, how: dict[str, Any]
) -> tuple[Turns, dict[str, Any]]:
    """Runs a job by each version in turn; returns the seconds, and the last results of each."""
    took, answers = Turns({name: [] for name in pythons}), {}
    rounds = 1 if chosen.smoke else chosen.rounds
    for number in range(-1 if job in WHOLE_PROCESSES else 0, rounds):
        for name, python in pythons.items():
            command = [python, str(WORKER), job, subject, json.dumps(how)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, cwd=chosen.cache, env=environment(chosen)
            )
            answers[name] = json.loads(done.stdout.splitlines()[-1])
            if number >= 0:
                took.seconds[name].append(answers[name]["seconds"])
        progress(f"{job} {subject} {how}: " + ", ".join(f"{name} {took.median(name):.2f} s" for name in pythons))
    return took, answers


def environment(chosen: Options) -> dict[str, str]:
    """One thread, and a folder of byte code that both versions can write."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": str(chosen.cache / "bytecode")}


if __name__ == "__main__":
    run_as_script(__doc__, measure)
