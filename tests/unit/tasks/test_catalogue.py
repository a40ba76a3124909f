"""The catalogue: every task declares all that readers need, and its example row fits its prompt."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from mammal.tasks import catalogue
from mammal.tasks.batches.example import Example
from mammal.tasks.data import load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.metrics.registry import METRICS
from mammal.tasks.splits import WAYS
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

FOLDER = Path(str(files("mammal.configs"))) / "task"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml") if not file.stem.startswith("_"))
CONFIGS = {name: load_task(name) for name in NAMES}
OWN = [name for name in NAMES if not CONFIGS[name].prompt.raw]
"""Tasks of our own tokenizer; published prompts and alphabets are held to theirs in tests/golden."""
ROWS = 40
"""Rows of each set that are read, so that all of them take seconds."""


def ready(config: TaskConfig, tokenizer: Tokenizer) -> Task:
    """The task, with scales of its numbers where training would fit them."""
    task = build_task(config, tokenizer)
    unit = {"mean": 0.0, "std": 1.0}
    scales = {} if task.state().get("scales") else {"scales": dict.fromkeys(task.number_targets, unit)}
    if config.kind == "features":
        task.fit_features([config.example])
    task.load_state(scales | {"conditions": dict.fromkeys(task.steering.numbers, unit)})
    return task


def test_an_alphabet_without_a_modality_is_listed_as_a_sequence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(catalogue._OF_ALPHABET, "SMILES")
    assert catalogue.modality(CONFIGS["bbbp"]) == "sequence" and "sequence" in catalogue.MODALITIES


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_complete(name: str):
    config = CONFIGS[name]
    assert config.name == name, "the file bears the name of its task"
    for key in ("about", "licence", "citation", "example"):
        assert getattr(config, key), f"{key} is missing"
    assert config.version >= 1
    assert config.kind == "denoising" or config.metrics, "metrics are missing"
    assert config.kind != "regression" or config.unit, "a number needs a unit"
    assert config.data.split in WAYS or config.data.split.startswith("deepchem:")
    assert len(config.about) <= 140 and not config.about.endswith("."), "about is one short line"
    assert catalogue.modality(config) in catalogue.MODALITIES


@pytest.mark.parametrize("name", NAMES)
def test_a_task_has_a_published_figure_or_says_why_not(name: str):
    reported = CONFIGS[name].published
    assert reported.source, "where the figure stands; without one, why there is none"
    if reported.figure is not None:
        assert reported.metric and reported.split, "a figure means nothing without its metric and split"
        assert reported.metric in METRICS


def test_the_published_metric_is_one_that_we_report():
    for name, config in CONFIGS.items():
        assert config.published.metric is None or config.published.metric in config.metrics, name


@pytest.mark.parametrize("name", OWN)
def test_the_example_is_a_row_that_encodes(name: str, tokenizer: Tokenizer):
    config = CONFIGS[name]
    task = ready(config, tokenizer)
    assert set(config.example) == {*task.columns, *task.target_columns}, "the columns of the prompt, and no others"
    encoding = task.encode(config.example, target=True).input
    assert tokenizer.unk_id not in encoding.ids_L
    assert tokenizer.eos_id == encoding.ids_L[-1], "nothing was cut"


def test_the_tags_of_a_prompt_tell_its_task():
    """A model that learns many tasks tells them apart by their tags and entities alone."""
    targets: dict[str, dict[str, list[str]]] = {}
    for name in OWN:
        prompt = CONFIGS[name].prompt
        targets.setdefault(prompt.input, {}).setdefault(str(prompt.target), []).append(name)
    assert [asked for asked in targets.values() if len(asked) > 1] == [], "one input, asked for different things"


def skip_corpus(config: TaskConfig) -> None:
    """Skips a task that reads what `mammal corpus` makes."""
    if str(config.data.path or "").startswith("corpus/"):
        pytest.skip("its table is made by mammal corpus")


_LOADED: dict[str, Any] = {}
"""Rows that were read, by their declaration: some tasks read the same ones."""


def real_rows(name: str, shared: Path) -> list[dict]:
    """The first rows of a task's local copy; skips where there is none."""
    if not (shared / "data").is_dir():
        pytest.skip("no local copies of public data")
    config = load_task(name, {"data": {"limit": ROWS}})
    skip_corpus(config)
    same = repr(config.data)
    try:
        frame = _LOADED[same] if same in _LOADED else load_dataset(config.data, {"data": shared / "data"})
    except DataError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    assert len(frame) <= 10 * ROWS, "data.limit is kept, file by file"
    _LOADED[same] = frame
    return frame.to_dict("records")


def readable(task: Task, rows: list[dict]) -> list[Example]:
    """Rows that encode; training, too, sets aside invalid molecules, empty labels and texts beyond a declared limit."""
    examples, too_long = [], 0
    for number, row in enumerate(rows):
        try:
            examples.append(task.encode(row, number, target=True))
        except DataError as error:
            too_long += "more tokens than its limit" in str(error)
    assert task.config.too_long == "refuse" or not too_long
    assert len(examples) >= 0.9 * (len(rows) - too_long) > 0
    return examples


@pytest.mark.parametrize("name", OWN)
def test_rows_of_the_real_data_encode(name: str, shared: Path, tokenizer: Tokenizer):
    for example in readable(ready(CONFIGS[name], tokenizer), real_rows(name, shared)):
        assert tokenizer.unk_id not in example.input.ids_L


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OWN and CONFIGS[name].data.name])
def test_rows_of_the_real_data_fit_published_prompts(name: str, shared: Path):
    rows = real_rows(name, shared)
    tokenizer = Tokenizer.load(shared / "compat/fixtures/tokenizer_base/tokenizer")
    tokenizer.add_special_tokens(["<BBBP>", "<FDA_APPR>", "<CARCINOGENICITY>"])
    assert readable(ready(CONFIGS[name], tokenizer), rows)


@pytest.mark.parametrize("name", [name for name in OWN if catalogue.modality(CONFIGS[name]) == "DNA"])
def test_dna_is_written_without_unknowns(name: str, shared: Path, tokenizer: Tokenizer):
    if not (shared / "data").is_dir():
        pytest.skip("no local copies of public data")
    config = load_task(name, {"data": {"limit": 3000}})
    skip_corpus(config)
    task = ready(config, tokenizer)
    rows = load_dataset(config.data, {"data": shared / "data"}).to_dict("records")[::5]
    prompts = [(number, row, task.render_for_encoding(row)) for number, row in enumerate(rows)]
    for example in task.encode_prepared(prompts, target=False):
        assert tokenizer.unk_id not in example.input.ids_L
        assert example.input.ids_L[-1] == tokenizer.eos_id, "the window fits"
