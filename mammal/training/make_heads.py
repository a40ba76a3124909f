"""Makes the heads that are installed with the package: one for each task in `checkpoints/heads.yaml`.

    make heads                                              those that are missing or were made for another encoder
    python -m mammal.training.make_heads esol amp           only these, also if they exist
    python -m mammal.training.make_heads table              the table of docs/heads.md

Each head is trained with `experiment=head`, gets a card, is checked and then replaces its folder in
`checkpoints/heads`. After an interruption, the same command makes those that are still missing.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from mammal import console
from mammal.bundle.adaptation import weights_hash
from mammal.bundle.heads import ENCODER, Head, read_head, read_heads
from mammal.bundle.locate import CARD, CONFIG, HEADS, METRICS, TOKENIZER, checkpoints_folder, locate, shipped_heads
from mammal.errors import BundleError, ConfigError, MammalError, did_you_mean
from mammal.files import finite, read_json
from mammal.tasks.tables.atomic import atomic_folder

if TYPE_CHECKING:
    from mammal.bundle.card import Card
    from mammal.evaluation.results import TaskResult
    from mammal.inference.api import Mammal

LIST = "heads.yaml"
MOST_BYTES = 2_000_000
"""Largest size of a head."""

FEW_ROWS = 1_000
"""With fewer rows than this, the card warns that figures and intervals are uncertain."""


def listed_heads() -> dict[str, str]:
    """Returns the tasks of the heads with the licence of their weights."""
    return dict(_list()["heads"])


def head_settings(name: str) -> list[str]:
    """Returns the settings of a head's run that differ from `experiment=head`, as words of the command line.

    Args:
        name: the task.
    """
    return [str(word) for word in (_list().get("settings") or {}).get(name, ())]


def _list() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((checkpoints_folder() / LIST).read_text(encoding="utf-8"))
    return content


def outdated_heads() -> list[str]:
    """Returns the tasks in the list whose head is missing or was made for another encoder."""
    wanted, found = weights_hash(locate(ENCODER)), shipped_heads()
    return [name for name in listed_heads() if name not in found or base_hash(found[name]) != wanted]


def base_hash(folder: Path) -> str | None:
    """Returns the content hash of the encoder that a head was made for; None if it does not record one.

    Args:
        folder: folder of the head.
    """
    adaptation = (read_json(folder / CONFIG).get("mammal") or {}).get("adaptation") or {}
    return adaptation.get("base_hash")


def make_head(name: str, overrides: Sequence[str] = ()) -> Head:
    """Trains the head of a task, writes its card, checks it, and installs it in the package.

    Args:
        name: the task.
        overrides: settings of the run in addition to those of `experiment=head` and of the list.

    Raises:
        MammalError: the head can't be trained, is too large, or predicts something else after it was installed.
    """
    from mammal.configuration.compose import compose, parse_arguments
    from mammal.training.run import train

    with TemporaryDirectory() as scratch:
        words = ["experiment=head", f"task={name}", f"output={Path(scratch) / 'run'}"]
        words += [*head_settings(name), *overrides]
        arguments = parse_arguments("train", words)
        result = train(compose("train", arguments), arguments.config_dirs)
        return install_head(result.bundle, name, result.results, listed_heads().get(name, ""))


def install_head(bundle: Path, name: str, results: Sequence[TaskResult], licence: str) -> Head:
    """Copies a trained bundle into the package, without its tokenizer, with a card.

    Args:
        bundle: folder of the bundle.
        name: the task, and the name of the head.
        results: figures on the test rows.
        licence: SPDX name of the licence of the weights.

    Raises:
        BundleError: the head is too large.
        TaskError: the head predicts something else after it was installed.
    """
    from mammal.bundle.card import render_card
    from mammal.inference.api import load

    model = load(bundle, device="cpu")
    metrics = _with_coverage(model.metrics, results)
    card = head_card(model, name, metrics, licence)
    parameters = sum(weight.numel() for weight in model.model.parameters())
    text = render_card(card, folder=name, tasks=[model.tasks[name]], metrics=metrics, parameters=parameters)
    example = [dict(model.tasks[name].config.example)]
    target = checkpoints_folder() / HEADS / name
    with atomic_folder(target) as partial:
        shutil.copytree(bundle, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(TOKENIZER))
        (partial / METRICS).write_text(json.dumps(finite(metrics), indent=2) + "\n", encoding="utf-8")
        (partial / CARD).write_text(text, encoding="utf-8")
        _check_size(partial, name)
    if not load(name, device="cpu").predict(example).equals(model.predict(example)):
        raise BundleError("predicts something else than the bundle that it was copied from", where=str(target))
    return read_head(target)


def _check_size(folder: Path, name: str) -> None:
    sizes = {file.name: file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    if sum(sizes.values()) > MOST_BYTES:
        largest = ", ".join(f"{file} {size:,}" for file, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:3])
        what = f"the head of {name} has {sum(sizes.values()):,} bytes, and {MOST_BYTES:,} bytes are allowed ({largest})"
        raise BundleError(what, hint="a smaller adapt.max_bytes")


def _with_coverage(metrics: Mapping[str, Any], results: Sequence[TaskResult]) -> dict[str, Any]:
    """The figures with the coverage of intervals or sets of labels on the test rows, averaged over target columns."""
    found = {name: dict(parts) if isinstance(parts, Mapping) else parts for name, parts in metrics.items()}
    for result in results:
        shares = [figures.coverage for figures in result.interval_figures.values()]
        shares += [sum(own) / len(own) for s in result.set_figures.values() if (own := list(s.coverage.values()))]
        if shares:
            facts = found[result.task][result.part]
            found[result.task][result.part] = {**facts, "coverage": sum(shares) / len(shares)}
    return found


def head_card(model: Mammal, name: str, metrics: Mapping[str, Any], licence: str) -> Card:
    """Returns the facts of a head's card.

    Args:
        model: the model with the task.
        name: the task.
        metrics: contents of `metrics.json`.
        licence: SPDX name of the licence of the weights.
    """
    from mammal.bundle.card import LIMITS, Card
    from mammal.bundle.heads import FITTED_ROWS

    config, facts = model.tasks[name].config, (metrics.get(name) or {}).get("test") or {}
    rows = facts.get(FITTED_ROWS)
    few = (
        f" It was fitted on only {rows:,} rows, so figures and intervals are uncertain."
        if rows and rows < FEW_ROWS
        else ""
    )
    limits = f"{LIMITS}{few} A prediction is not a measurement: confirm it before anything depends on it."
    return Card(
        name=name,
        about="\n\n".join(_about(model, name, facts)),
        licence=licence,
        data={name: f"{config.about}. Licence: {config.licence or 'not stated'}. {config.citation or ''}".rstrip()},
        command=f"python -m mammal.training.make_heads {name}",
        limits=limits,
    )


def _about(model: Mammal, name: str, facts: Mapping[str, Any]) -> list[str]:
    """Paragraphs: what the head predicts, how it is used, what its figures are of, and how trust is reported."""
    from mammal.bundle.heads import FITTED_ROWS
    from mammal.tasks.declaration.schema import unit_text

    config = model.tasks[name].config
    unit = f", in {unit_text(config.unit)}" if config.unit else ""
    found = [
        f"Predicts: {config.about}{unit}. A shipped head on the frozen encoder of `{ENCODER}`, which needs no training "
        "and no download:",
        f"```bash\nmammal predict task={name} input=my_rows.csv output=predicted.csv\n```",
    ]
    if FITTED_ROWS in facts:
        found.append(
            f"The head is fitted on all {facts[FITTED_ROWS]:,} rows. Its figures below are those of the same model on "
            f"{facts['rows']:,} test rows (split {facts['split']}), before it was fitted on them. Intervals and "
            "probabilities are calibrated on predictions for rows that a model was not fitted on, in five folds."
        )
    if "coverage" in facts:
        found.append(f"Intervals or sets of labels for 90 % contained {facts['coverage']:.0%} of the true test values.")
    if (kept := model.tasks[name].training_rows) is not None:
        found.append(
            f"Each answer has the `similarity` of its row to the nearest training row: {kept.kept.measure}. A row that "
            "is `outside` is farther from them than 90 % of held-out rows were; don't rely on its answer."
        )
    return found


def heads_table(heads: Sequence[Head]) -> list[str]:
    """Returns the lines of the table in docs/heads.md.

    Args:
        heads: the heads.
    """
    lines = ["| head | what | rows | licence | figure on held-out rows | size |", "|---|---|---|---|---|---|"]
    licences = listed_heads()
    for head in heads:
        what = f"{head.about}, in {head.unit}" if head.unit else head.about
        rows = "" if head.rows is None else f"{head.rows:,}"
        cells = (f"`{head.name}`", what, rows, licences.get(head.name, ""), head.figure, f"{head.size / 1e6:.2f} MB")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def main(argv: Sequence[str]) -> int:
    """Makes heads, or prints the table.

    Args:
        argv: `table`; or tasks, and settings `key=value` of the runs. No tasks: those that are missing or outdated.

    Returns:
        The exit code.
    """
    if list(argv) == ["table"]:
        console.out("\n".join(heads_table(read_heads())))
        return 0
    names, overrides = [word for word in argv if "=" not in word], [word for word in argv if "=" in word]
    for name in names:
        if name not in (listed := listed_heads()):
            raise ConfigError(f"{name} is not in {LIST}", hint=did_you_mean(name, listed, noun="head"))
    for name in names or outdated_heads():
        begun = time.monotonic()
        head = make_head(name, overrides)
        console.note(f"{head.line}; {head.size:,} bytes, {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MammalError as error:
        console.note(f"error: {error}")
        sys.exit(1)
