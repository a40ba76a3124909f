"""From a corpus to the warning: which rows a bundle recognises, and what training and evaluation say of it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mammal
from mammal.bundle.folder import read_bundle, save_bundle
from mammal.bundle.locate import PRETRAINING_ROWS
from mammal.cli import main
from mammal.corpus.build import build_corpus
from mammal.corpus.identities import IDENTITIES, rows_of_tasks
from mammal.corpus.recipe import read_recipe
from mammal.errors import BundleError, ConfigError
from mammal.evaluation.results import load_results
from mammal.report.gather import report, write_report
from mammal.tasks import load_task
from mammal.training.run import train

QUICK = ("model=debug", "trainer.max_steps=1", "data.tokens_per_batch=400", "task.data.split=given")
ONLY_OURS = {"baselines": False, "neighbours": False, "sensitivity": 0}
NEW = ["CCCCCCCCO", "OCCCCCCCCN", "CCCCSCCCC", "CCCCOCCCCC", "NCCCCCCCCN", "ClCCCCCCCCl"]
"""Molecules that are not in the corpus."""


@pytest.fixture
def corpus(tmp_path: Path, toy: Callable[..., Any]) -> Path:
    """The corpus of the toy molecules: one table, most of whose rows are for training."""
    files = [{"path": str(tmp_path / "toy.csv")}]
    sets = {"molecules": {"entity": "smiles", "files": files}, "others": {"entity": "smiles", "files": files}}
    build_corpus(read_recipe({"name": "toy", "held_out": [], "valid_share": 0.2, "sets": sets}), tmp_path / "corpus")
    return tmp_path / "corpus"


@pytest.fixture
def base(small_bundle: Callable[..., Path], corpus: Path) -> Path:
    """A bundle with the filters of a run that has read the corpus."""
    data = {"source": "file", "path": str(corpus / "molecules.parquet"), "split": "given"}
    config = load_task({"name": "t", "kind": "denoising", "data": data, "prompt": {"input": "{smiles:smiles}"}})
    made = read_bundle(small_bundle())
    return save_bundle(corpus.parent / "base", made.model, made.tokenizer, pretraining=rows_of_tasks([config], None))


def parts_of(corpus: Path) -> tuple[list[str], list[str]]:
    table = pd.read_parquet(corpus / "molecules.parquet")
    return tuple(table["smiles"][table["split"] == part].tolist() for part in ("train", "valid"))


def rows_of(folder: Path, test: list[str]) -> Path:
    """A table whose test rows are these; none of the others is in the corpus."""
    parts = {
        "train": [f"{'C' * n}P" for n in range(4, 12)],
        "valid": [f"{'C' * n}Br" for n in range(8, 11)],
        "test": test,
    }
    lines = [f"{smiles},{len(smiles)},{part}" for part, several in parts.items() for smiles in several]
    (folder / "own.csv").write_text("\n".join(["smiles,number,split", *lines]) + "\n")
    return folder / "own.csv"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "pretraining corpus" in r.getMessage()]


def test_training_and_evaluation_warn_of_rows_that_were_seen(toy, corpus, base, tmp_path, caplog):
    trained, valid = parts_of(corpus)
    model = mammal.load(base)
    assert model.seen(trained).all() and not model.seen(valid + NEW).any()
    assert "pretraining_rows.safetensors" in (base / "README.md").read_text()

    path = rows_of(tmp_path, [*trained[:5], *NEW[:2]])
    words = ["task=toy_regression", f"task.data.path={path}", f"init={base}", *QUICK]
    with caplog.at_level(logging.WARNING):
        tuned = train(toy(*words)).bundle
    warned = warnings_of(caplog)
    assert len(warned) == 1, "the valid rows were not seen"
    assert "toy_regression: 5 of 7 test rows" in warned[0] and "smiles in 5" in warned[0]
    assert "less than one" in warned[0] and "a task of the catalogue with its own split" in warned[0]
    found = load_results(tmp_path / "run" / "evaluation")[0]
    assert found.leakage["pretraining/test"] == 5 and found.leakage["pretraining/valid"] == 0
    page = tmp_path / "report.html"
    write_report(report(tmp_path / "run"), page)
    assert "5 of 7 test rows have a molecule or sequence of the pretraining corpus" in page.read_text()
    assert json.loads((tuned / "metrics.json").read_text())["toy_regression"]["test"]["rows_in_pretraining"] == 5
    assert "rows_in_pretraining 5" in (tuned / "README.md").read_text()

    assert (tuned / PRETRAINING_ROWS).read_bytes() == (base / PRETRAINING_ROWS).read_bytes(), "no rows of its own"
    caplog.clear()
    only_ours = {**ONLY_OURS, "paths": {"data": tmp_path}}
    evaluated = mammal.evaluate(tuned, **only_ours)
    assert len(warnings_of(caplog)) == 1 and evaluated["toy_regression"].leakage["pretraining/test"] == 5
    own = [{"smiles": smiles, "number": 1.0} for smiles in trained[:3]]
    evaluated = mammal.evaluate(tuned, data=own, **only_ours)
    assert evaluated["toy_regression"].leakage["pretraining/own"] == 3


def test_no_warning_where_nothing_was_seen_or_nothing_is_known(toy, base, tmp_path, caplog):
    path = rows_of(tmp_path, NEW)
    words = ["task=toy_regression", f"task.data.path={path}", f"init={base}", *QUICK]
    tuned = train(toy(*words)).bundle
    found = load_results(tmp_path / "run" / "evaluation")[0]
    assert found.leakage["pretraining/test"] == 0 and not warnings_of(caplog)

    trained, _ = parts_of(tmp_path / "corpus")
    rows_of(tmp_path, trained[:6])
    (tuned / PRETRAINING_ROWS).unlink()
    model = mammal.load(tuned)
    result = mammal.evaluate(model, **ONLY_OURS, paths={"data": tmp_path})["toy_regression"]
    assert not warnings_of(caplog) and "pretraining/test" not in result.leakage and result.pretraining == ""
    with pytest.raises(BundleError, match="does not tell"):
        model.seen(trained)
    (tuned / PRETRAINING_ROWS).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="can't be read"):
        mammal.load(tuned)


def test_adapters_find_the_rows_in_their_base_and_copies_keep_them(toy, corpus, base, tmp_path):
    path = rows_of(tmp_path, NEW)
    words = ["task=toy_regression", f"task.data.path={path}", "test=false", *QUICK, f"init={base}", "adapt=lora"]
    tuned = train(toy(*words, "adapt.save=adapters")).bundle
    trained, _ = parts_of(corpus)
    assert not (tuned / PRETRAINING_ROWS).exists()
    model = mammal.load(tuned)
    assert model.seen(trained).all() and not model.seen(NEW).any()
    again = model.save(tmp_path / "copy")
    assert read_bundle(again).pretraining.seen(trained, "molecule").all()
    shutil.move(base, tmp_path / "moved")
    assert mammal.load(tuned, base=tmp_path / "moved").seen(trained).all()


def test_questions_about_other_texts_are_refused(base):
    model = mammal.load(base)
    with pytest.raises(ConfigError, match="smile"):
        model.seen(["CCO"], entity="smile")
    with pytest.raises(BundleError, match="protein"):
        model.seen(["MKTW"], entity="protein")
    with pytest.raises(ConfigError, match="several"):
        model.seen("CCO")


def test_packs_carry_the_identities_of_their_rows(toy, corpus, tmp_path, monkeypatch):
    trained, valid = parts_of(corpus)
    words = ["task=toy_denoising", f"task.data.path={corpus / 'molecules.parquet'}", "task.data.split=given"]
    assert main(["pack", *words, f"output={tmp_path / 'packs'}", "tokenizer=null"]) == 0
    assert (tmp_path / "packs" / IDENTITIES).is_file()
    shutil.rmtree(corpus)
    config = toy(*words, *QUICK, "test=false", f"data.packed={tmp_path / 'packs'}")
    model = mammal.load(train(config).bundle)
    assert model.seen(trained).all() and not model.seen(valid).any()
