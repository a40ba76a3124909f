"""Every kind of task memorizes 32 rows, and the saved bundle still predicts them."""

import pandas as pd
import pytest

import mammal
from mammal.training.run import train


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "metric", "least"),
    [("regression", "pearson", 0.98), ("classification", "accuracy", 1.0), ("generation", "exact_match", 0.8)],
)
def test_learns_by_heart(toy, tmp_path, kind, metric, least):
    # All rows go to train; with `debug=overfit` they are the validation rows too.
    config = toy(f"task=toy_{kind}", "debug=overfit", "task.data.fractions=[1.0,0.0,0.0]")
    result = train(config)

    rows = pd.read_csv(tmp_path / "toy.csv").to_dict("records")
    model = mammal.load(result.bundle)
    answers = model.predict(pd.DataFrame(rows))
    assert answers["error"].isna().all()
    truth = [row[{"regression": "number", "classification": "label", "generation": "other"}[kind]] for row in rows]
    if kind == "regression":
        score = answers["prediction"].astype(float).corr(pd.Series(truth))
    else:
        from mammal.tasks.molecules.chemistry import canonical_or_none

        expected = [canonical_or_none(text) or text for text in truth]
        score = (answers["prediction" if kind == "classification" else "text"] == expected).mean()
    assert score >= least, f"{metric} {score}"
