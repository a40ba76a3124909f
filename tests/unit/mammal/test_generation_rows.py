"""Generation for rows: seeds, repeated sampling, conditions; one call, many calls and many shards agree."""

from __future__ import annotations

import io
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.decoding.random_numbers import Draw
from mammal.errors import ConfigError, DataError, TaskError
from mammal.generation.rows import generate_rows
from mammal.generation.samples import Rules, Sample, sample_prediction
from mammal.generation.settings import declared_generation, stop_ids
from mammal.jobs import run_job
from mammal.rows.batched import Pace, TaskEncoder
from mammal.tasks import build_task, load_task
from mammal.tasks.kinds.generation import GenerationTask
from mammal.tasks.task import Task

ALPHABET = {"task": "molecules", "max_new_tokens": 8, "constraint": "alphabet"}
DECLARED = {
    "name": "steered",
    "kind": "generation",
    "prompt": {"input": "<SENTINEL_ID_1> {logp:scalar} {qed:scalar}", "target": "<SENTINEL_ID_0> {smiles:smiles}"},
    "conditions": {"columns": ["logp", "qed"]},
    "generation": {"constraint": "alphabet", "max_new_tokens": 8},
}


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle)


@pytest.fixture(scope="module")
def draw_rows(model: mammal.Mammal) -> Callable[..., list[list[Sample]]]:
    """Samples of `molecules`: `rows` of `n` sequences, a short alphabet's worth of tokens each."""

    def draw(rows: int, n: int = 1, **how: object) -> list[list[Sample]]:
        task = model.tasks["molecules"]
        config = replace(declared_generation(task), max_new_tokens=6, do_sample=True, num_return_sequences=n, seed=3)
        return generate_rows(model.model, TaskEncoder(task), [{}] * rows, config, **how)  # type: ignore[return-value]

    return draw


def even(ids: Sequence[int], row: object) -> str | None:
    """A rule that about half of all sequences break."""
    return "its ids add up to an odd number" if sum(ids) % 2 else None


RULES = Rules(invalid_reason=even, max_draws=20)


def test_what_is_not_valid_is_drawn_again(draw_rows: Callable[..., list[list[Sample]]]) -> None:
    once, again = draw_rows(30, 2), draw_rows(30, 2, rules=RULES)
    draws = [sample.draws for row in again for sample in row]
    assert all(even(sample.ids, None) is None and sample.problem is None for row in again for sample in row)
    assert draws.count(1) > 10 and 3 < max(draws) < 20
    for before, after in zip(once, again, strict=True):
        for first, kept in zip(before, after, strict=True):
            assert (first.ids == kept.ids) == (kept.draws == 1)


def test_redraws_do_not_depend_on_the_batch(draw_rows: Callable[..., list[list[Sample]]]) -> None:
    together = draw_rows(12, 3, rules=RULES)
    assert [[s.ids for s in row] for row in draw_rows(12, 3, rules=RULES, pace=Pace(rows=4))] == [
        [s.ids for s in row] for row in together
    ]
    for place in (0, 7, 11):
        (alone,) = draw_rows(1, 3, rules=RULES, firsts=[Draw(3, place)])
        assert [(s.ids, s.draws) for s in alone] == [(s.ids, s.draws) for s in together[place]]


def test_what_never_becomes_valid_says_so(
    draw_rows: Callable[..., list[list[Sample]]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        made = draw_rows(4, 2, rules=Rules(invalid_reason=lambda ids, row: "no", max_draws=3))
    assert all((sample.problem, sample.draws) == ("no", 3) for row in made for sample in row)
    assert "0 of 8 sequences were valid at once" in caplog.text and "8 never became valid" in caplog.text


class Pairs:
    """Two tokens out of three, some pairs only, then `<EOS>`, the lowest of the four ids."""

    follows: ClassVar[dict[object, list[int]]] = {"": [1, 2, 3], "1": [2], "2": [1, 2, 3], "3": [3]}
    least_new_tokens = 3

    def __init__(self, ids: Sequence[int]):
        self.ids_V = np.array(sorted(ids))

    def start(self) -> str:
        return ""

    def mask(self, state: str, left: int) -> np.ndarray:
        allowed_V = np.zeros(4, dtype=bool)
        allowed_V[self.follows.get(state, [0])] = True
        return allowed_V

    def advance(self, state: str, column: int) -> str:
        return state + str(column)


def test_faithful_draws_have_the_model_s_own_frequencies(model: mammal.Mammal) -> None:
    task = model.tasks["molecules"]
    letters = [i for i in task.tokenizer.alphabet_ids("SMILES").tolist() if i > task.tokenizer.eos_id][:3]
    grammar = Pairs([*letters, task.tokenizer.eos_id])
    config = replace(declared_generation(task), do_sample=True, num_return_sequences=800, max_new_tokens=4, seed=1)

    def distance(**how: object) -> float:
        """Total variation between how often pairs come and how likely the model finds them among pairs."""
        rules = Rules(grammar=grammar, invalid_reason=lambda ids, row: None, max_draws=400, **how)
        (samples,) = generate_rows(model.model, TaskEncoder(task), [{}], config, rules=rules)
        likely = {sample.ids: math.exp(sample.score) for sample in samples}
        came = Counter(sample.ids for sample in samples)
        assert len(came) == 5, "every pair comes"
        return sum(abs(came[ids] / 800 - p / sum(likely.values())) for ids, p in likely.items()) / 2

    assert distance(faithful=True) < 0.05 < 0.1 < distance(faithful=False)


def test_a_beam_gives_valid_sequences_from_further_down(model: mammal.Mammal) -> None:
    task = model.tasks["molecules"]
    asked = {"do_sample": False, "max_new_tokens": 4, "num_beams": 8, "num_return_sequences": 8}
    config = replace(declared_generation(task), **asked)
    (every,) = generate_rows(model.model, TaskEncoder(task), [{}], config)
    two = replace(config, num_return_sequences=2)
    (best,) = generate_rows(model.model, TaskEncoder(task), [{}], two, rules=Rules(invalid_reason=even))
    valid = [sample for sample in every if even(sample.ids, None) is None]
    assert 2 <= len(valid) < 8 and [s.ids for s in best] == [s.ids for s in valid[:2]]
    (none,) = generate_rows(
        model.model, TaskEncoder(task), [{}], two, rules=Rules(invalid_reason=lambda ids, row: "no")
    )
    assert [s.ids for s in none] == [s.ids for s in every[:2]] and none[0].problem == "no"


# The table


def test_a_row_s_own_seed_is_all_that_decides(model: mammal.Mammal, tmp_path: Path) -> None:
    frame = model.generate(seed=[5, 6, 5], n=2, **ALPHABET)
    texts = frame.text.tolist()
    assert frame.seed.tolist() == [5, 5, 6, 6, 5, 5] and texts[:2] == texts[4:] != texts[2:4]
    assert model.generate(seed=[6], n=2, **ALPHABET).text.tolist() == texts[2:4]
    rows = pd.DataFrame({"mine": [6.0, None, 5.5, 5]})
    named = model.generate(rows, n=2, seed_column="mine", **ALPHABET)
    assert named.text.tolist()[:2] == texts[2:4] and named.text.tolist()[4:] == texts[:2]
    assert "no seed" in named.error.iloc[2] and "whole number" in named.error.iloc[3]


def test_seeds_must_fit_the_rows(model: mammal.Mammal) -> None:
    with pytest.raises(DataError, match="2 seeds for 3 rows"):
        model.generate([{"a": 1}] * 3, seed=[1, 2], **ALPHABET)
    with pytest.raises(DataError, match="no column 'mine'"):
        model.generate(pd.DataFrame({"mind": [1]}), seed_column="mine", **ALPHABET)


def test_shards_give_what_one_call_gives(
    model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GenerationTask, "invalid_reason", lambda self, ids, row, scaffold: even(ids, row))
    one = model.generate(n=12, max_draws=9, seed=4, **ALPHABET)
    assert one.draws.max() > 1
    options = {"n": 12, "max_draws": 9, "seed": 4, "max_new_tokens": 8, "constraint": "alphabet"}
    job = run_job("generate", tiny_bundle, None, tmp_path / "a.csv", task="molecules", options=options, shard_rows=5)
    made = pd.read_csv(job.output)
    assert made["sample"].tolist() == one["sample"].tolist() and made.draws.tolist() == one.draws.tolist()
    assert made.text.tolist() == one.text.tolist()

    pd.DataFrame({"id": range(7), "own": [3, 1, 4, 1, 5, 9, 2]}).to_csv(tmp_path / "in.csv", index=False)
    whole = model.generate(pd.read_csv(tmp_path / "in.csv"), n=2, seed_column="own", **ALPHABET)
    options = {"n": 2, "seed_column": "own", "max_new_tokens": 8, "constraint": "alphabet"}
    output = tmp_path / "b.csv"
    run_job("generate", tiny_bundle, tmp_path / "in.csv", output, task="molecules", options=options, shard_rows=3)
    assert pd.read_csv(output).text.tolist() == whole.text.tolist()


def test_a_sequence_that_never_becomes_valid_is_an_error_of_its_own(
    model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GenerationTask, "invalid_reason", lambda self, ids, row, scaffold: even(ids, row))
    frame = model.generate([{"id": 1}, {"id": 2}], n=4, max_draws=2, **ALPHABET)
    failed = frame.error.notna()
    assert 0 < failed.sum() < 8 and frame["sample"].tolist() == [*range(8)]
    assert frame.text[failed].isna().all() and (frame.draws[failed] == 2).all()
    assert frame.error[failed].str.contains("no valid sequence in 2 samples; the last one: its ids add up").all()

    pd.DataFrame({"id": [1, 2]}).to_csv(tmp_path / "in.csv", index=False)
    options = {"n": 4, "max_draws": 2, "max_new_tokens": 8, "constraint": "alphabet"}
    job = run_job("generate", tiny_bundle, tmp_path / "in.csv", tmp_path / "a.csv", task="molecules", options=options)
    made = pd.read_csv(job.output)
    assert made.text.dropna().tolist() == frame.text[~failed].tolist()
    assert made["sample"].tolist() == frame["sample"].tolist() and made.error.isna().tolist() == (~failed).tolist()
    reasons = pd.read_csv(job.errors)
    assert job.exit_code == 3 and reasons.row.tolist() == sorted(set(frame.id[failed]))
    assert reasons.error.str.match(r"\d of 4: no valid sequence").all()


def test_settings_of_published_tasks_add_no_column(model: mammal.Mammal) -> None:
    frame = model.generate(task="molecules", constraint="none", n=8, max_new_tokens=4)
    assert list(frame.columns) == ["sample", "text", "score", "error"] and frame.text.notna().any()
    assert frame.error.dropna().str.contains("names no token").all()


def test_n_best_come_with_both_scores(model: mammal.Mammal) -> None:
    frame = model.generate(num_beams=4, n=4, length_penalty=0.5, **ALPHABET)
    assert frame.normalised_score.tolist() == sorted(frame.normalised_score, reverse=True)
    likelihoods = model.score(pd.DataFrame({"smiles": frame.text}), task="molecules").log_likelihood
    whole = frame.text.str.len() < 5  # longer ones may have been cut off before <EOS>
    assert frame.score[whole].tolist() == pytest.approx(likelihoods[whole].tolist(), abs=1e-3)


class OneAtom:
    """A grammar of two sequences."""

    least_new_tokens = 2

    def __init__(self, task: GenerationTask):
        self.eos, atoms = task.tokenizer.eos_id, stop_ids(["C", "N"], task.tokenizer)
        smiles = set(task.tokenizer.alphabet_ids("SMILES").tolist())
        self.ids_V = np.array(sorted([self.eos, *(i for i in atoms if i in smiles)]))

    def start(self) -> int:
        return 0

    def mask(self, state: int, left: int) -> np.ndarray:
        return (self.ids_V == self.eos) == (state == 1)

    def advance(self, state: int, column: int) -> int:
        return state + 1


def test_the_grammar_of_the_task_is_kept_to(model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GenerationTask, "grammar", lambda self, **how: OneAtom(self))
    how = {"task": "molecules", "constraint": "grammar"}
    drawn = model.generate(n=40, **how)
    assert set(drawn.text) == {"C", "N"} and "draws" in drawn
    beams = model.generate(n=3, num_beams=3, **how)
    assert set(beams.text[:2]) == {"C", "N"} and "only 2 sequences are possible" in beams.error.iloc[2]
    with pytest.raises(ConfigError, match="at least 2 tokens"):
        model.generate(max_new_tokens=1, **how)


# Conditions and guidance


@pytest.fixture(scope="module")
def steered(model: mammal.Mammal) -> Task:
    task = build_task(load_task(DECLARED), model.tokenizer)
    task.fit([{"logp": "1", "qed": "0.2", "smiles": "CC"}, {"logp": "3", "qed": "0.8", "smiles": "CN"}])
    return task


def test_conditions_are_rows_of_their_own(model: mammal.Mammal, steered: Task) -> None:
    asked = model.generate(task=steered, n=3, conditions={"logp": "2.5", "qed": None}, do_sample=True)
    assert asked.logp.tolist() == [2.5] * 3 and "qed" not in asked
    rows = model.generate({"logp": 2.5}, task=steered, n=3, do_sample=True)
    assert rows.text.tolist() == asked.text.tolist()


def test_guidance_leads_away_from_no_condition(model: mammal.Mammal, steered: Task) -> None:
    how = {"task": steered, "n": 12, "do_sample": True, "seed": 1, "conditions": {"logp": 3.0}}
    plain, one, strong = (model.generate(**how, guidance=scale) for scale in (None, 1, 6))
    assert plain.text.tolist() == one.text.tolist() != strong.text.tolist()
    nothing = model.generate(task=steered, n=12, do_sample=True, seed=1)
    asked_away = model.generate(**how, guidance=0)
    assert asked_away.text.tolist() == nothing.text.tolist()


def test_wrong_conditions_name_the_nearest(model: mammal.Mammal, steered: Task) -> None:
    with pytest.raises(ConfigError, match="did you mean logp"):
        model.generate(task=steered, conditions={"logP": 1})
    with pytest.raises(mammal.MammalError, match="logp"):
        model.generate(task=steered, conditions={"logp": "much"})
    with pytest.raises(ConfigError, match="guidance needs conditions"):
        model.generate(task="molecules", guidance=2)
    with pytest.raises(ConfigError, match="constraint is alphabet"):
        model.generate(starts_with="CC", **ALPHABET)
    with pytest.raises(TaskError, match="grammar"):
        model.generate(task="molecules", constraint="gramar")
    with pytest.raises(ConfigError, match="did you mean min_p"):
        model.generate(task="molecules", minp=0.1)
    with pytest.raises(ConfigError, match="temperature must be a number, not 'hot'"):
        model.generate(task="molecules", temperature="hot")
    with pytest.raises(ConfigError, match="num_beams must be a whole number"):
        model.generate(task="molecules", num_beams=1.5)
    with pytest.raises(ConfigError, match="not a token"):
        model.generate(stop="Cx", **ALPHABET)
    with pytest.raises(ConfigError, match="needs a task"):
        model.generate("<@TOKENIZER-TYPE=SMILES>CCO<EOS>", guidance=2)


def test_stop_tokens_are_found_by_their_text(model: mammal.Mammal) -> None:
    tokenizer = model.tokenizer
    found = stop_ids(["<SENTINEL_ID_1>", "C"], tokenizer)
    assert tokenizer.specials["<SENTINEL_ID_1>"] in found and {tokenizer.token(i) for i in found[1:]} == {"C"}
    smiles = {tokenizer.token(i) for i in tokenizer.alphabet_ids("SMILES").tolist()}
    assert set(model.generate(n=20, stop=sorted(smiles), **ALPHABET).text) <= {"", *smiles}


def test_spelt_is_what_the_task_says(model: mammal.Mammal) -> None:
    task = model.tasks["molecules"]
    ids = task.tokenizer.encode(str(task.render({"smiles": "CCO"}, target=True).target)).ids_L.tolist()
    assert sample_prediction(task, 0, Sample(tuple(ids), -1.0), {}).text == "CCO"


# The command line


def test_conditions_and_settings_on_the_command_line(
    model: mammal.Mammal, steered: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = mammal.Mammal(model.model, model.tokenizer, [steered]).save(tmp_path / "steered")
    words = ["generate", f"bundle={bundle}", "n=3", "conditions.logp=2.5", "guidance=2", "min_p=0.1", "stop=[C,N]"]
    assert main(words) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert main([*words, f"output={tmp_path / 'made.csv'}", "shard_rows=2"]) == 0
    made = pd.read_csv(tmp_path / "made.csv")
    assert printed.text.tolist() == made.text.tolist() and made.logp.tolist() == [2.5] * 3
    assert main([*words[:2], "conditions.logP=1"]) == 2
    assert "did you mean logp" in capsys.readouterr().err
