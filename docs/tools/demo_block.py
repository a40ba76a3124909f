"""Prints the results of `make demo` as the README shows them, or replaces them in a page.

    python docs/tools/demo_block.py demo                    print the block of the folder demo
    python docs/tools/demo_block.py demo README.md          replace it between the marks in README.md

Durations are those between the files of the demo. On a machine that does other work at the same time, `TOOK` can hold
other words for them: TOOK='4 min 36 s of processor time'.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import mean

import pandas as pd

from mammal.bundle.heads import ENCODER
from mammal.bundle.lazy_tasks import stored_configs
from mammal.bundle.locate import TASKS, locate
from mammal.evaluation.results import Contender, TaskResult, load_results, readable_name, short
from mammal.report.words import metric_name
from mammal.tasks.molecules.properties import compute

BEGIN, END = "<!-- demo:begin -->", "<!-- demo:end -->"
BEGUN, REPORT = "begun", "report.html"
MOLECULES, EXPLAINED = "molecules_by_heads.csv", "molecules_explained.csv"
PEPTIDES, SAMPLES = "peptides_by_head.csv", "samples.csv"
NAMES = {"melting_point": "melting point", "amp": "antimicrobial peptides"}
COLUMNS = {"melting_point": ("rmse", "mae", "pearson"), "amp": ("auroc", "auprc", "mcc")}
LABELS = {"melting points": "pretrain_melting_point", "antimicrobial peptides": "pretrain_peptides"}
"""Tasks of the pretraining that read labels of the training rows."""
SHORTER = {"mean absolute error": "MAE", "Pearson correlation": "Pearson"}


def block(demo: Path) -> str:
    """Returns the text between the marks.

    Args:
        demo: folder in which `make demo` wrote its files.
    """
    ours, nothing = load_results(demo / "evaluation"), load_results(demo / "from_nothing" / "evaluation")
    tables = [table(result, other.ours) for result, other in zip(ours, nothing, strict=True)]
    tested = "The tables show results on the test rows, which come from held-out scaffolds and clusters, with 95 %\n"
    tested += "bootstrap intervals:"
    return "\n\n".join([f"{took(demo)}\n{tested}", *tables, pretraining(), "\n".join(rows(demo))])


def took(demo: Path) -> str:
    """Returns how long the demo and its first part took."""
    whole = os.environ.get("TOOK") or duration(demo / BEGUN, demo / REPORT)
    lines = [f"On {os.cpu_count()} cores without a GPU the demo took {whole}, not counting the installation."]
    if not os.environ.get("TOOK"):
        lines.append(f"The first part, with the shipped weights, took {duration(demo / BEGUN, demo / SAMPLES)}.")
    return "\n".join(lines)


def pretraining() -> str:
    """Returns what the pretraining of the shipped weights has read of the rows of the two tasks."""
    tasks = stored_configs(locate(ENCODER).folder / TASKS)
    read = [name for name, task in LABELS.items() if task in tasks]
    without = f"The pretraining of `{ENCODER}` left out the molecules and peptides of the validation and test rows."
    labels = (
        f"It read labels of training rows of these tasks: {', '.join(read)}."
        if read
        else "It read no labels of the two tasks."
    )
    return f"{without}\n{labels}"


def duration(first: Path, last: Path) -> str:
    """Returns the time between two files, in words."""
    minutes, seconds = divmod(round(last.stat().st_mtime - first.stat().st_mtime), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def table(result: TaskResult, nothing: Contender) -> str:
    """Returns the figures of a task: the model from the weights, the one from nothing, and the baselines.

    Args:
        result: the evaluation of the model from the weights, with baselines.
        nothing: the model from nothing.
    """
    metrics = COLUMNS[result.task]
    names = [_column(metric, result.unit) for metric in metrics]
    what = "molecules" if result.molecules else "peptides"
    lines = [
        f"| {NAMES[result.task]}, {result.rows[result.part]:,} {what} | {' | '.join(names)} |",
        f"|{'---|' * (1 + len(names))}",
        _line("MAMMAL, from `mammal-tiny`", result.ours, metrics),
        _line("MAMMAL, the same shape from nothing", nothing, metrics),
    ]
    baselines = [(readable_name(one.name), one) for one in result.contenders[1:]]
    lines += [_line(f"{name}{_bar(result, one)}", one, metrics) for name, one in baselines]
    return "\n".join(lines)


def rows(demo: Path) -> list[str]:
    """Returns sentences about the files that the shipped weights answered; none if there were no heads."""
    lines = []
    if (demo / MOLECULES).is_file():
        lines.append(f"Solubility and blood-brain barrier of the example molecules: {_answers(demo / MOLECULES)}")
        lines.append(f"Explained molecules: {_answers(demo / EXPLAINED)}")
        lines.append(f"Explained peptides: {_answers(demo / PEPTIDES)}")
    samples = pd.read_csv(demo / SAMPLES)
    reached = {asked: mean(compute(text, "logp") for text in own["text"]) for asked, own in samples.groupby("logp")}
    words = ", ".join(f"{short(value)} for {asked:g}" for asked, value in reached.items())
    lines.append(f"{len(samples)} molecules were generated with a requested logP and QED; their mean logP is {words}.")
    return lines


def _answers(file: Path) -> str:
    """How many rows of the input have an answer. A long table has several lines for a row, with its number."""
    frame = pd.read_csv(file)
    answered = frame[frame["error"].isna()]
    count = answered["row"].nunique() if "row" in frame else len(answered)
    refused = len(frame) - len(answered)
    return f"{count} of {count + refused} rows have an answer, and {refused} have a reason instead."


def _column(metric: str, unit: str) -> str:
    name, _, rest = metric_name(metric, unit).rstrip(" ↑↓").partition(" / ")
    return SHORTER.get(name, name) + (f" ({rest})" if rest else "")


def _bar(result: TaskResult, contender: Contender) -> str:
    return ", best on validation rows" if contender is result.bar else ""


def _line(name: str, contender: Contender, metrics: tuple[str, ...]) -> str:
    return f"| {name} | {' | '.join(str(contender.estimates[metric]) for metric in metrics)} |"


def replaced(page: str, new: str) -> str:
    """Returns a page with another block.

    Args:
        page: text of the page; it has both marks once.
        new: the block.
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def main(words: list[str]) -> None:
    new = block(Path(words[0]))
    if len(words) == 1:
        sys.stdout.write(f"{new}\n")
        return
    page = Path(words[1])
    page.write_text(replaced(page.read_text(encoding="utf-8"), new), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
