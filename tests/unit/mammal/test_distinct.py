"""`distinct`: all sequences of a row differ, batches change nothing, and too few are reported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.jobs import run_job
from mammal.tasks.molecules.chemistry import canonical_or_none

FEW = {"max_new_tokens": 8, "top_k": 4, "seed": 1}
"""Settings with which the tiny model repeats itself."""


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle, task="molecules")


def canonical(texts: object) -> list[str | None]:
    return [canonical_or_none(text) for text in texts]  # type: ignore[attr-defined]


def test_molecules_are_all_different(model: mammal.Mammal):
    plain = model.generate(n=20, **FEW)
    assert len(set(canonical(plain["text"]))) < 20, "settings that repeat molecules"
    made = model.generate(n=14, distinct=True, **FEW)
    found = made[made["error"].isna()]
    assert len(set(canonical(found["text"]))) == len(found) > len(set(canonical(plain["text"])))
    firsts = list(dict.fromkeys(canonical(plain["text"])))
    assert canonical(found["text"])[: len(firsts)] == firsts, "in the order in which they are sampled without distinct"
    assert made["sample"].tolist() == list(range(14))
    pd.testing.assert_frame_equal(made, model.generate(n=14, distinct=True, **FEW))
    assert model.generate(n=20, distinct=False, **FEW)["text"].tolist() == plain["text"].tolist()


def test_two_spellings_of_a_molecule_are_one(model: mammal.Mammal):
    how = {"max_new_tokens": 11, "seed": 1, "top_k": 6}
    plain = model.generate(n=200, **how)["text"].dropna()
    assert len(set(canonical(plain))) < len(set(plain)), "some of its molecules have two spellings"
    made = model.generate(n=100, distinct=True, **how)
    found = made["text"][made["error"].isna()].tolist()
    assert len(set(canonical(found))) == len(found) == 100


def test_too_few_are_reported(model: mammal.Mammal, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "mammal"):
        made = model.generate(n=30, distinct=True, max_new_tokens=8, top_k=1, do_sample=True)
    assert len(made) == 30 and made["text"].notna().sum() == 1
    assert made["error"].iloc[-1] == "only 1 different sequences were found, and 30 are wanted"
    assert "1 of 1 rows have fewer than 30 different sequences; the fewest have 1" in caplog.text


def test_other_rows_and_batches_change_nothing(small_bundle: Callable[..., Path]):
    model = mammal.load(small_bundle("forward_reaction"))
    how = {"n": 12, "distinct": True, "max_new_tokens": 4, "seed": [5, 6, 7], "top_k": 12, "constraint": "alphabet"}
    rows = ["CCN.CCBr", "c1ccccc1Br.CN", "CCO.CC(=O)O"]
    together = model.generate(rows, **how)
    for text, of_row in together.dropna(subset="text").groupby(together.columns[0])["text"]:
        assert of_row.nunique() == len(of_row), text
    apart = pd.concat([model.generate([row], **{**how, "seed": [s]}) for row, s in zip(rows, how["seed"], strict=True)])
    model.pace = replace(model.pace, rows=1, tokens=16)
    narrow = model.generate(rows, **how)
    for other in (apart, narrow):
        assert other["text"].tolist() == together["text"].tolist()


def test_beams_give_different_molecules(model: mammal.Mammal):
    made = model.generate(n=4, num_beams=12, distinct=True, max_new_tokens=9)
    found = made["text"][made["error"].isna()]
    assert len(set(canonical(found))) == len(found) == 4


def test_jobs_and_the_command_line_give_what_the_method_gives(
    model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    right = model.generate(n=15, distinct=True, **FEW).dropna(subset="text")["text"].tolist()
    options = {"n": 15, "distinct": True, **FEW}
    run_job("generate", tiny_bundle, None, tmp_path / "o.csv", task="molecules", options=options, shard_rows=4)
    assert pd.read_csv(tmp_path / "o.csv")["text"].tolist() == right
    words = [f"bundle={tiny_bundle}", "task=molecules", "n=15", "distinct=true", *(f"{k}={v}" for k, v in FEW.items())]
    main(["generate", *words, f"output={tmp_path}/c.csv"])
    assert pd.read_csv(tmp_path / "c.csv")["text"].tolist() == right


def test_answers_to_bare_prompts_differ_too(model: mammal.Mammal):
    prompt = "<@TOKENIZER-TYPE=SMILES><SENTINEL_ID_0><EOS>"
    how = {"n": 10, "max_new_tokens": 1, "top_k": 20, "seed": 4}
    assert model.generate([prompt], **how)["text"].nunique() < 10
    assert model.generate([prompt], distinct=True, **how)["text"].nunique() == 10
