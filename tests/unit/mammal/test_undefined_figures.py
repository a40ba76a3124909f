"""Figures without a value, such as the correlation of a constant baseline, are called undefined everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammal.bundle.card import Card, render_card, with_figures
from mammal.cli import main
from mammal.evaluation.results import Estimate, short
from mammal.tasks.metrics.registry import METRICS
from mammal.tasks.metrics.undefined import _NEEDS, estimate_text, is_estimate, undefined_note

NAN = float("nan")


def test_every_place_says_undefined_and_why(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    rows = [f"{'C' * (1 + n // 2)}{'ON'[n % 2]},{n * 1.5}" for n in range(60)]
    Path("assay.csv").write_text("\n".join(["smiles,y", *rows]) + "\n")
    assert main(["new-task", "assay.csv"]) == 0
    words = ["model=debug", "trainer.max_steps=1", "test=false", "output=run"]
    assert main(["train", "--config-dir", ".", "task=assay", *words]) == 0
    capsys.readouterr()
    assert main(["evaluate", "bundle=run", "baselines=quick", "trees=5", "output=ev"]) == 0
    reason = "true values and predictions that differ between rows"
    assert main(["report", "run=ev", "output=page.html"]) == 0
    assert main(["info", "run"]) == 0
    out = capsys.readouterr().out
    texts = [out, Path("run/bundle/README.md").read_text(), Path("ev/evaluation.md").read_text()]
    texts.append(Path("page.html").read_text())
    for text in texts:
        assert f"needs {reason}" in " ".join(text.split()) and "undefined" in text
        assert "None" not in text.replace("None of", "") and "nan" not in text.split()
    assert f"MAMMAL · spearman: undefined (needs {reason})" not in out
    assert f"mean · spearman: undefined (needs {reason})" in out
    stored = json.loads(Path("run/bundle/metrics.json").read_text())["assay"]["test"]
    assert stored["mean"]["spearman"] == [None, None, None]  # JSON has no NaN


@pytest.mark.parametrize(
    ("figure", "text"),
    [([None, None, None], "undefined"), ([0.5, None, None], "0.5"), ([0.5, 0.25, 0.75], "0.5 (0.25 to 0.75)")],
)
def test_a_figure_in_a_card(figure: list[float | None], text: str):
    metrics = {"t": {"test": {"rows": 3, "mean": {"r2": figure}}}}
    card = render_card(Card(), folder="f", tasks=[], metrics=metrics, parameters=1)
    assert f"| mean | {text} |" in card and "None" not in card
    assert ("Undefined: r2: needs true values that differ between rows." in card) == (figure[0] is None)
    assert with_figures(card, metrics) == card
    assert estimate_text(figure, str) == text and is_estimate(figure)


def test_words_and_lists_are_not_figures():
    assert not is_estimate(["a", "b", "c"]) and not is_estimate([True, False, True]) and not is_estimate([1, 2])
    assert str(Estimate(NAN, NAN, NAN)) == short(NAN) == "undefined"


def test_one_sentence_names_each_reason_once():
    note = undefined_note(["pearson", "spearman", "auroc/y", "pearson"])
    assert note.count("needs") == 2 and "pearson and spearman: needs" in note and "auroc/y: needs rows of" in note
    assert undefined_note([]) == ""
    assert set(_NEEDS) <= set(METRICS)
