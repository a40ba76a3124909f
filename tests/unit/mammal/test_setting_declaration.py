"""A setting of generation is declared once; keys, arguments, options, types, checks and help follow from that."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.configuration.arguments import Arguments
from mammal.configuration.compose import compose
from mammal.decoding.config import GenerationConfig
from mammal.errors import ConfigError, MammalError
from mammal.generation.settings import Settings, declared_generation
from mammal.jobs import run_job
from mammal.jobs.model_job import VERBS
from mammal.tasks import build_task, load_task
from mammal.tasks.declaration.generation_settings import SETTINGS, DecodingSettings, Range, help_lines, of_way
from mammal.tasks.declaration.schema import DecodingConfig, stored_config
from mammal.tasks.errors import TaskError

ROOT = Path(__file__).resolve().parents[3]
CALL = {"task": "molecules", "max_new_tokens": 12, "constraint": "alphabet", "do_sample": False}


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle)


def test_types_of_a_call_are_those_declared() -> None:
    """Type checkers can't read the declaration: `Settings` needs a line for each; `seed` is an argument of its own."""
    wanted = {name: known.kind | None for name, known in SETTINGS.items() if name != "seed"}
    lines = [f"    {name}: {kind.__name__ if isinstance(kind, type) else kind}" for name, kind in wanted.items()]
    assert get_type_hints(Settings) == wanted, "it should be\n" + "\n".join(lines)


def test_every_surface_has_every_setting() -> None:
    config = compose("generate", Arguments(["bundle=x"]))
    page = (ROOT / "docs/generation.md").read_text(encoding="utf-8")
    for name, known in SETTINGS.items():
        assert name in config and config[name] == known.in_call
        assert name in VERBS["generate"]
        assert f"`{name}`" in page or f"{name}=" in page, f"docs/generation.md needs a line on {name}"
        assert known.use.help and len(known.use.help) <= 100
    decoding = {field.name for field in fields(DecodingSettings)}
    assert decoding <= {field.name for field in fields(GenerationConfig)}
    assert decoding <= {field.name for field in fields(DecodingConfig)} <= set(SETTINGS)


def test_decoding_reads_every_setting() -> None:
    """A declared setting that no code reads would be accepted everywhere and change nothing."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "mammal/decoding").glob("*.py"))
    idle = [name for name in (f.name for f in fields(DecodingSettings)) if not re.search(rf"config\.{name}\b", code)]
    assert not idle, "no module of mammal/decoding reads these settings"


def test_help_of_the_verb_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--help"]) == 0
    out = capsys.readouterr().out
    assert help_lines() in out and "shard_rows: 10000" in out
    assert all(len(line) <= 120 for line in help_lines().splitlines())
    assert re.search(r"^repetition_penalty: null +# ", out, flags=re.M) and re.search(r"^seed: 0 ", out, flags=re.M)


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "message"),
    [
        (Range(0, open=True), [1e-9, 5], [0, -1], "must be above 0"),
        (Range(1), [1, 2], [0], "must be at least 1"),
        (Range(0), [0, 2], [-1], "must be 0 or more"),
        (Range(0, 1), [0, 1], [-0.1, 1.1], r"must lie in \[0, 1\]"),
        (Range(0, 1, open=True), [0.1, 1], [0, 1.1], r"must lie in \(0, 1\]"),
        (Range(), [-3, 3], [float("nan"), float("inf")], "must be a finite number"),
    ],
)
def test_ranges(allowed: Range, inside: list, outside: list, message: str) -> None:
    assert all(allowed.problem(value) is None for value in inside)
    assert all(re.fullmatch(message, allowed.problem(value) or "") for value in outside)


def test_every_number_has_its_range_checked() -> None:
    """One step below the least value (of which `off` is one) is refused by tasks and by decoding alike."""
    checked = 0
    for field in fields(DecodingSettings):
        known = SETTINGS[field.name]
        if {int, float} & {known.kind, *get_args(known.kind)} and known.use.range.low > float("-inf"):
            wrong: dict[str, Any] = {field.name: known.use.range.low - 1}
            with pytest.raises(ConfigError, match=field.name):
                GenerationConfig(**wrong)
            with pytest.raises(TaskError, match=f"generation.{field.name}"):
                load_task("molecules", {"generation": wrong})
            checked += 1
    assert checked >= 9


def test_zero_turns_off_what_shapes_samples() -> None:
    assert GenerationConfig(top_k=0, min_p=0.0, do_sample=True) == GenerationConfig(do_sample=True)


def test_a_task_declares_what_a_call_may_change(model: mammal.Mammal) -> None:
    declared = {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5, "no_repeat_ngram_size": 2}
    task = build_task(load_task("molecules", {"generation": {**declared, "do_sample": False}}), model.tokenizer)
    how = declared_generation(task)
    assert {name: getattr(how, name) for name in declared} == declared
    off = how.without_beams()
    assert off.no_repeat_ngram_size == 2 and all(
        getattr(off, name) == SETTINGS[name].default for name in of_way("beams")
    )
    call = {"max_new_tokens": 8, "constraint": "alphabet"}
    assert "normalised_score" in model.generate(task=task, n=4, **call)
    assert "normalised_score" not in model.generate(task=task, n=3, temperature=0.9, **call)


# The two settings against repetition, from every side


def test_a_call_a_task_a_job_and_a_command_give_the_same(
    model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2}
    called = model.generate(**rules, **CALL).text.tolist()
    assert called != model.generate(**CALL).text.tolist()
    task = build_task(load_task("molecules", {"generation": rules}), model.tokenizer)
    assert model.generate(**{**CALL, "task": task}).text.tolist() == called
    assert model.generate(**{**CALL, "task": task}, repetition_penalty=1, no_repeat_ngram_size=0).text.tolist() == (
        model.generate(**CALL).text.tolist()
    )
    options = {name: value for name, value in {**CALL, **rules}.items() if name != "task"}
    job = run_job("generate", tiny_bundle, None, tmp_path / "a.csv", task="molecules", options=options)
    assert pd.read_csv(job.output, keep_default_na=False).text.tolist() == called
    reported = json.loads(job.output.with_name("a.csv.manifest.json").read_text())["options"]
    assert {name: reported[name] for name in rules} == rules
    words = [f"{name}={str(value).lower()}" for name, value in {**CALL, **rules}.items()]
    assert main(["generate", f"bundle={tiny_bundle}", *words]) == 0
    assert pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False).text.tolist() == called


def test_repetition_fits_every_way_of_decoding(model: mammal.Mammal) -> None:
    rules = {"repetition_penalty": 1.5, "no_repeat_ngram_size": 3}
    for way in ({"do_sample": False}, {"num_beams": 3, "n": 3}, {"n": 3}, {"n": 3, "constraint": "grammar"}):
        assert model.generate(**{**CALL, "do_sample": None, **way}, **rules).error.isna().any()
    with pytest.raises(MammalError, match="no_repeat_ngram_size must be a whole number"):
        model.generate(**CALL, no_repeat_ngram_size=1.5)
    with pytest.raises(MammalError, match="repetition_penalty must be above 0"):
        model.generate(**CALL, repetition_penalty=0)


def test_a_lifted_ban_is_logged(model: mammal.Mammal, caplog: pytest.LogCaptureFixture) -> None:
    """The alphabet of this target has 41 tokens, and no answer is shorter than 50."""
    caplog.set_level("INFO")
    prompt = {"input": "<SENTINEL_ID_1>", "target": "<SENTINEL_ID_0> {number:digits}"}
    how = {"constraint": "alphabet", "max_new_tokens": 60, "min_new_tokens": 50}
    declared = {"name": "number", "kind": "generation", "prompt": prompt, "generation": how}
    task = build_task(load_task(declared), model.tokenizer)
    model.generate(task=task, no_repeat_ngram_size=2)
    assert "no_repeat_ngram_size" not in caplog.text
    for way in ({}, {"num_beams": 2}, {"n": 2}):
        caplog.clear()
        assert len(model.generate(task=task, no_repeat_ngram_size=1, **way)) == way.get("n", 1)
        assert "some sequences repeat 1 token" in caplog.text


def test_a_stored_task_has_later_settings_only_where_it_sets_them():
    """Bundles stay readable for versions without these settings, and manifests of unfinished jobs stay valid."""
    config = load_task("moses")
    stored = stored_config(config)["generation"]
    assert stored.keys() == {name for name in asdict(config)["generation"] if not SETTINGS[name].use.later}
    config.generation.repetition_penalty = 1.2
    assert stored_config(config)["generation"].keys() - stored.keys() == {"repetition_penalty"}
