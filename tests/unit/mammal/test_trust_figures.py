"""Figures of intervals and sets of labels on held-out rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from mammal.evaluation.reliability import reliability
from mammal.evaluation.results import load_results, save_results
from mammal.evaluation.trust import trust_figures
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.targets.conformal import LEVELS
from mammal.tokenization import Tokenizer

NUMBERS = {
    "name": "numbers",
    "kind": "regression",
    "mode": "encoder",
    "data": {"source": "file", "path": "none.csv"},
    "prompt": {"input": "<MELTING_POINT><MASK> {smiles:smiles}", "target": "{y:scalar}"},
}
LABELS = {
    "name": "labels",
    "kind": "classification",
    "labels": ["no", "yes"],
    "data": {"source": "file", "path": "none.csv"},
    "prompt": {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"},
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def test_figures_of_intervals(tokenizer: Tokenizer) -> None:
    task = build_task(load_task(NUMBERS), tokenizer)
    truth = np.random.default_rng(0).normal(size=400)
    rows = [{"smiles": "C", "y": f"{value:.17g}"} for value in truth]
    task.fit(rows)
    task.calibrate([Prediction(i, value=0.0) for i in range(200)], rows[:200])
    said = [task.placed(Prediction(i, value=0.0)) for i in range(200)]
    intervals, sets = trust_figures(task, said, rows[200:])
    found = intervals["y"]
    assert sets == {} and found.coverage == pytest.approx(0.9, abs=0.06)
    assert found.width == pytest.approx(2 * task.conformal["y"].half_width)
    assert found.miscalibration == pytest.approx(np.abs(np.array(found.observed) - LEVELS).mean())
    assert found.miscalibration < 0.06
    assert found.nll == pytest.approx(norm(0.0, found.width / 2 / norm.ppf(0.95)).logpdf(truth[200:]).mean() * -1)
    wide = [Prediction(i, value=5.0, interval=(4.0, 6.0)) for i in range(200)]
    assert trust_figures(task, wide, rows[200:])[0]["y"].coverage == 0.0
    assert trust_figures(build_task(load_task(NUMBERS), tokenizer), [Prediction(0, value=1.0)], rows[:1]) == ({}, {})


def test_intervals_of_new_rows_follow_their_similarity(tokenizer: Tokenizer) -> None:
    task = build_task(load_task({**NUMBERS, "scale": {"log": True}}), tokenizer)
    rng = np.random.default_rng(0)
    similarity = rng.uniform(0.1, 1.0, size=500)
    truth = 10 ** (rng.normal(size=500) * (0.1 + 2 * (1 - similarity)))
    rows = [{"smiles": "C", "y": f"{value:.17g}"} for value in truth]
    task.fit(rows)
    said = [Prediction(i, value=1.0, similarity=float(s)) for i, s in enumerate(similarity)]
    task.calibrate(said, rows)
    near, far = (task.placed(Prediction(0, value=1.0, similarity=s)).interval for s in (0.95, 0.2))
    assert near is not None and far is not None and far[0] < near[0] < 1 < near[1] < far[1]
    assert near[0] * near[1] == pytest.approx(1.0), "of equal width in logarithms"
    again = build_task(load_task({**NUMBERS, "scale": {"log": True}}), tokenizer)
    again.load_state(task.state())
    assert again.placed(said[0]) == task.placed(said[0])
    refused = Prediction(0, error="not a molecule")
    assert task.placed(refused) is refused
    assert trust_figures(task, [task.placed(one) for one in said], rows)[0]["y"].coverage == pytest.approx(
        0.9, abs=0.02
    )


def test_figures_of_sets_of_labels(tokenizer: Tokenizer) -> None:
    task = build_task(load_task(LABELS), tokenizer)
    sets = [("no",), ("no", "yes"), (), ("yes",)]
    said = [Prediction(i, label="no", probability=0.3, label_set=of_row) for i, of_row in enumerate(sets)]
    rows = [{"smiles": "C", "y": label} for label in ("no", "no", "yes", "yes")]
    _, found = trust_figures(task, said, rows)
    assert found["y"].coverage == {"no": 1.0, "yes": 0.5}
    assert (found["y"].size, found["y"].single, found["y"].empty) == (1.0, 0.5, 0.25)


def test_an_answer_has_its_set_of_labels_and_a_raw_probability_has_none(tokenizer: Tokenizer) -> None:
    from mammal.rows.answer_columns import answer_columns
    from mammal.rows.task_choice import changed_task

    task = build_task(load_task(LABELS), tokenizer)
    rows = [{"smiles": "C", "y": "yes" if i % 3 == 0 else "no"} for i in range(90)]
    said = [Prediction(i, label="no", probability=0.3 + 0.3 * (i % 3 == 0) + 0.001 * i) for i in range(90)]
    task.calibrate(said, rows)
    assert [column.name for column in answer_columns(task)] == ["prediction", "probability", "label_set"]
    answer = task._prediction(0, np.log(np.array([[0.62, 0.38]])))
    assert answer.label_set is not None and set(answer.label_set) <= {"no", "yes"}
    raw = changed_task(task, {"probability": "vocabulary"}, calibrated=False)
    assert "label_set" not in [column.name for column in answer_columns(raw)]
    again = build_task(load_task(LABELS), tokenizer)
    again.load_state(task.state())
    assert again._prediction(0, np.log(np.array([[0.62, 0.38]]))) == answer


def test_log_loss_of_probabilities() -> None:
    found = reliability(Answers(np.array([0, 1]), np.array([0, 0]), np.array([[0.9, 0.1], [0.8, 0.2]])))
    assert found is not None and found.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.2)) / 2)


def test_figures_are_saved_and_read(tokenizer: Tokenizer, tmp_path) -> None:
    import pandas as pd

    from mammal.evaluation.results import OURS, Contender, TaskResult
    from mammal.evaluation.trust import IntervalFigures, SetFigures

    result = TaskResult(
        task="t",
        about="",
        kind="regression",
        part="test",
        split="random",
        split_hash="0",
        rows={"test": 2},
        metrics=["rmse"],
        contenders=[Contender(OURS, {}, 0.1)],
        answers=pd.DataFrame({"row": [1]}),
        interval_figures={
            "y": IntervalFigures(0.9, 2.0, [0.1] * len(LEVELS), 0.05, 1.2),
            "z": IntervalFigures(0.8, 1.0),
        },
        set_figures={"y": SetFigures({"no": 1.0}, 1.2, 0.8, 0.0)},
    )
    save_results([result], tmp_path)
    (read,) = load_results(tmp_path)
    assert read.interval_figures["y"] == result.interval_figures["y"] and read.set_figures == result.set_figures
    assert math.isnan(read.interval_figures["z"].miscalibration)
