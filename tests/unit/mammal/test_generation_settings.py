"""Settings of generation: accepted in any suitable type, and refused if they would have no effect."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, MammalError
from mammal.generation.question import Generate
from mammal.generation.stop_tokens import stop_ids
from mammal.jobs import run_job
from mammal.tasks import build_task, load_task
from mammal.tasks.task import Task

SHORT = {"task": "molecules", "max_new_tokens": 8}
ALPHABET = {**SHORT, "constraint": "alphabet"}
STEERED = {
    "name": "steered",
    "kind": "generation",
    "prompt": {"input": "<SENTINEL_ID_1> {logp:scalar}", "target": "<SENTINEL_ID_0> {smiles:smiles}"},
    "conditions": {"columns": ["logp"]},
    "generation": {"constraint": "alphabet", "max_new_tokens": 8, "do_sample": True},
}


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle)


@pytest.fixture(scope="module")
def steered(model: mammal.Mammal) -> Task:
    """Has learnt from logP of mean 2 and deviation 1."""
    task = build_task(load_task(STEERED), model.tokenizer)
    task.fit([{"logp": "1", "smiles": "CC"}, {"logp": "3", "smiles": "CN"}])
    return task


# Numbers and seeds


def test_numbers_of_numpy_are_numbers(model: mammal.Mammal) -> None:
    how = {"n": np.int64(3), "temperature": np.float64(0.7), "top_k": np.int32(20), "seed": np.int64(4)}
    plain = {name: value.item() for name, value in how.items()}
    assert model.generate(**how, **ALPHABET).text.tolist() == model.generate(**plain, **ALPHABET).text.tolist()
    listed, array = (model.generate(n=2, seed=seeds, **ALPHABET) for seeds in ([7, 8], np.array([7, 8])))
    assert listed.text.tolist() == array.text.tolist() and len(listed) == 4


@pytest.mark.parametrize("seed", ["abc", "7", 1.5, [1, "2"], [1, None], {1: 2}])
def test_a_seed_is_a_whole_number(model: mammal.Mammal, seed: Any) -> None:
    with pytest.raises(ConfigError, match="must be a whole number"):
        model.generate(seed=seed, **ALPHABET)


def test_seeds_come_from_one_place(model: mammal.Mammal) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        model.generate(pd.DataFrame({"own": [1, 2]}), seed=[1, 2], seed_column="own", **ALPHABET)


def test_large_seeds_are_distinguished(model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path) -> None:
    large = [2**53, 2**53 + 1, 2**70]
    frame = model.generate(pd.DataFrame({"own": pd.Series(large, dtype=object)}), seed_column="own", **ALPHABET)
    assert frame.text.tolist() == model.generate(seed=large, **ALPHABET).text.tolist()
    assert frame.text.nunique() == 3
    pd.DataFrame({"own": [*map(str, large), "5.0", "1e3"]}).to_csv(tmp_path / "in.csv", index=False)
    options = {"seed_column": "own", "max_new_tokens": 8, "constraint": "alphabet"}
    job = run_job("generate", tiny_bundle, tmp_path / "in.csv", tmp_path / "a.csv", task="molecules", options=options)
    wanted = [*frame.text, *model.generate(seed=[5, 1000], **ALPHABET).text]
    assert pd.read_csv(job.output).text.tolist() == wanted
    floats = model.generate(pd.DataFrame({"own": [2.0**53, 3.0]}), seed_column="own", **ALPHABET)
    assert "too large to be exact" in floats.error[0] and floats.error.isna()[1]


def test_rows_with_seeds_are_drawn(model: mammal.Mammal) -> None:
    greedy = {**ALPHABET, "task": build_task(load_task({**STEERED, "name": "g"}), model.tokenizer)}
    greedy["task"].config.generation.do_sample = False
    greedy["task"].fit([{"logp": "1"}, {"logp": "3"}])
    assert model.generate(seed=[1, 2, 3], **greedy).text.nunique() > 1
    assert "draws" in model.generate(max_draws=3, **greedy)


# Settings that contradict each other, or would change nothing


@pytest.mark.parametrize(
    ("settings", "reported"),
    [
        ({"n": 5, "num_beams": 4}, "n is 5, but num_beams is 4"),
        ({"n": 3, "do_sample": False}, "n is 3, but without beams"),
        ({"num_beams": 4, "temperature": 0.7}, "temperature is a setting of sampling, but num_beams is 4"),
        ({"num_beams": 4, "max_draws": 5}, "max_draws is a setting of sampling"),
        ({"do_sample": False, "top_p": 0.9}, "top_p is a setting of sampling, but do_sample is false"),
        ({"n": 2, "length_penalty": 0.5}, "length_penalty is a setting of beam search"),
        ({"early_stopping": True}, "early_stopping is a setting of beam search"),
        ({"num_beams": 2, "length_penalty": float("nan")}, "length_penalty must be a finite number"),
        ({"fill_length": "free"}, "does not fill in hidden parts"),
    ],
)
def test_settings_without_effect_are_refused(model: mammal.Mammal, settings: dict[str, Any], reported: str) -> None:
    with pytest.raises(MammalError, match=reported) as refused:
        model.generate(**settings, **ALPHABET)
    assert refused.value.exit_code == 2 and "num_return_sequences" not in str(refused.value)


@pytest.mark.parametrize("settings", [{"max_draws": 3}, {"faithful": True}, {"fill_length": "free"}])
def test_bare_prompts_have_no_rules(model: mammal.Mammal, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs a task"):
        model.generate("<@TOKENIZER-TYPE=SMILES>CCO<EOS>", **settings)


def test_settings_may_say_that_they_are_off(model: mammal.Mammal) -> None:
    off = {"top_k": 0, "min_p": 0, "length_penalty": 1.0, "early_stopping": False}
    assert model.generate(n=3, **off, **ALPHABET).text.tolist() == model.generate(n=3, **ALPHABET).text.tolist()
    beams = {"num_beams": 3, "n": 3, **ALPHABET}
    assert model.generate(**beams, top_k=0, min_p=0.0).text.tolist() == model.generate(**beams).text.tolist()
    declared = {**ALPHABET, "task": build_task(load_task("molecules", {"generation": {"top_k": 1}}), model.tokenizer)}
    assert model.generate(n=5, **declared).text.nunique() == 1 < model.generate(n=5, top_k=0, **declared).text.nunique()


# Conditions


def test_what_is_asked_of_all_rows_is_something(
    model: mammal.Mammal, steered: Task, caplog: pytest.LogCaptureFixture
) -> None:
    for nothing in (float("nan"), np.float32("nan"), ""):
        with pytest.raises(ConfigError, match="the condition logp is"):
            model.generate(task=steered, conditions={"logp": nothing})
    assert model.generate(task=steered, n=2, conditions={"logp": np.float32(2.5)}).logp.tolist() == [2.5, 2.5]
    assert not caplog.records
    model.generate(task=steered, conditions={"logp": 200})
    assert "198 standard deviations" in caplog.text


def test_guidance_follows_something(model: mammal.Mammal, steered: Task, tmp_path: Path) -> None:
    for data in (None, pd.DataFrame({"id": [1, 2]})):
        with pytest.raises(DataError, match="guidance needs at least one condition"):
            model.generate(data, steered, guidance=2)
    assert len(model.generate(pd.DataFrame({"logp": [1, 2]}), steered, guidance=2)) == 2
    bundle = mammal.Mammal(model.model, model.tokenizer, [steered]).save(tmp_path / "steered")
    with pytest.raises(DataError, match="guidance needs at least one condition"):
        run_job("generate", bundle, None, tmp_path / "a.csv", options={"guidance": 2.0})
    assert not (tmp_path / "a.csv.parts").exists()


# Where sequences end


def test_stops_fit_what_is_generated(model: mammal.Mammal) -> None:
    with pytest.raises(ConfigError, match="does not occur in answers"):
        model.generate(stop="<SENTINEL_ID_7>", **ALPHABET)
    for half_said in (")", "C", 1):
        with pytest.raises(ConfigError, match="would leave answers incomplete"):
            model.generate(stop=half_said, constraint="grammar", **SHORT)
    assert model.generate(stop=[1, 2], n=2, **ALPHABET).error.isna().all()
    whole = model.generate(stop="<EOS>", constraint="grammar", **SHORT)
    assert whole.text.tolist() == model.generate(constraint="grammar", **SHORT).text.tolist()


@pytest.mark.parametrize(("word", "stops"), [("stop=1", ["1"]), ('stop=["<EOS>","."]', ["<EOS>", "."])])
def test_stops_on_the_command_line(
    model: mammal.Mammal, tiny_bundle: Path, capsys: pytest.CaptureFixture[str], word: str, stops: list[str]
) -> None:
    words = ["generate", f"bundle={tiny_bundle}", "task=molecules", "constraint=alphabet", "max_new_tokens=8", "n=20"]
    assert main([*words, word]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False)
    assert printed.text.tolist() == model.generate(n=20, stop=stops, **ALPHABET).text.tolist()
    assert stop_ids(stops, model.tokenizer) == stop_ids(tuple(stops), model.tokenizer)


# Files


def test_the_best_go_to_a_file_as_they_come_from_a_call(
    model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path
) -> None:
    def made(name: str, **options: Any) -> pd.DataFrame:
        options |= {"max_new_tokens": 8, "constraint": "alphabet"}
        job = run_job("generate", tiny_bundle, None, tmp_path / name, task="molecules", options=options)
        return pd.read_csv(job.output, keep_default_na=False)

    best = made("best.csv", n=4, num_beams=4)
    called = model.generate(n=4, num_beams=4, **ALPHABET)
    assert best.text.tolist() == called.text.tolist() and best.text.nunique() == 4
    assert best["sample"].tolist() == [0, 1, 2, 3] and best.normalised_score.is_monotonic_decreasing
    with pytest.raises(ConfigError, match="n is 5, but num_beams is 4"):
        made("many.csv", n=5, num_beams=4)
    greedy = made("greedy.csv", do_sample=False)
    assert greedy.text.tolist() == model.generate(do_sample=False, **ALPHABET).text.tolist()
    assert made("draws.csv", n=np.int64(3)).text.tolist() == model.generate(n=3, **ALPHABET).text.tolist()
    with pytest.raises(ConfigError, match="n must be a whole number"):
        made("none.csv", n="3")


def test_rows_that_hold_nothing_get_the_same_best(model: mammal.Mammal) -> None:
    frame = model.generate(pd.DataFrame({"id": [1, 2]}), n=2, num_beams=2, **ALPHABET)
    assert frame.text.tolist()[:2] == frame.text.tolist()[2:] and frame["sample"].tolist() == [0, 1, 0, 1]


def test_shards_hold_a_number_of_sequences(tiny_bundle: Path, tmp_path: Path) -> None:
    pd.DataFrame({"id": [1, 2]}).to_csv(tmp_path / "in.csv", index=False)

    def shard_rows(input: Path | None, **how: Any) -> int:
        options = {"n": 2, "max_new_tokens": 3, "constraint": "alphabet", **how.pop("options", {})}
        job = run_job("generate", tiny_bundle, input, tmp_path / "a.csv", task="molecules", options=options, **how)
        reported = json.loads(job.output.with_name("a.csv.manifest.json").read_text())
        return reported["options"]["shard_rows"]

    assert shard_rows(tmp_path / "in.csv") == 5_000
    assert shard_rows(tmp_path / "in.csv", shard_rows=7, resume=False) == 7
    assert shard_rows(None, resume=False) == 10_000


def test_a_taken_name_is_reported_before_anything_is_generated(
    model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Generate, "ask", lambda *given, **how: pytest.fail("the model was asked"))
    for rows in (pd.DataFrame({"score": [1.0]}), [{"error": "x"}]):
        with pytest.raises(DataError, match=r"already has a column .*, which the result needs"):
            model.generate(rows, **ALPHABET)


def test_a_wrong_setting_is_a_wrong_command(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", f"bundle={tiny_bundle}", "task=molecules"]
    for word in ("seed=abc", "seed=1.5", "n=0", "temperature=hot", "num_beams=1.5", "stop=QQ", "fill_length=free"):
        assert main([*words, word]) == 2, word
        assert word.partition("=")[0] in capsys.readouterr().err
