"""The kinds of tasks with a model: many classes, generated numbers, raw probabilities of two classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mammal
from mammal.inference.api import Mammal
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tasks.baselines.fit import baselines
from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration import schema
from mammal.tasks.declaration.registry import task_dirs
from mammal.tasks.kinds import KINDS, RegressionTask
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


@pytest.fixture(scope="module")
def network(tokenizer: Tokenizer) -> MammalModel:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 1}
    heads = {"encoder_head_layers": (), "scalars_prediction_head": {"layers": []}}
    return MammalModel(ModelConfig(tokenizer.vocab_rows, **sizes, **heads, decoder_scalars=True)).eval()


def declared(tokenizer: Tokenizer, kind: str, target: str = "{y:scalar}", **more: object) -> Task:
    prompt = {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": target}
    return build_task(load_task({"name": "t", "kind": kind, "prompt": prompt, **more}), tokenizer)


def test_every_kind_has_its_class_and_its_preset():
    assert set(KINDS) == set(schema.KINDS), "tasks/kinds/__init__.py and tasks/declaration/schema.py list the kinds"
    presets = {file.stem.removeprefix("_") for folder in task_dirs() for file in folder.glob("_*.yaml")}
    assert not set(KINDS) - presets, "configs/task needs a preset _KIND.yaml for these"
    families = {"classification", "regression", "generation", "denoising", "features", "token_classification"}
    assert set(schema.KINDS.values()) <= families


class Doubled(RegressionTask):
    """A kind of its own, whose answers are numbers."""

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        return [replace(said, value=2 * said.value) for said in super().decode(output, batch)]


def test_a_kind_of_the_family_of_regression_is_handled_as_one(
    network: MammalModel, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its two entries are all that columns, metrics, baselines and results need."""
    monkeypatch.setitem(KINDS, "doubled", Doubled)
    monkeypatch.setitem(schema.KINDS, "doubled", "regression")
    rows = [{"smiles": "C" * n, "y": str(n)} for n in range(1, 13)]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    data = {"path": str(tmp_path / "rows.csv"), "fractions": [0.5, 0, 0.5]}
    how = {"data": data, "mode": "encoder", "metrics": ["rmse"], "scale": {"mean": 0.0, "std": 1.0}}
    prompt = {"input": "<MASK> {smiles:smiles}", "target": "{y:scalar}"}
    usual, own = (declared(tokenizer, kind, **how, prompt=prompt) for kind in ("regression", "doubled"))
    frames = [Mammal(network, tokenizer, [one]).predict(rows) for one in (usual, own)]
    np.testing.assert_allclose(frames[1].prediction, 2 * frames[0].prediction)
    assert {"mean", "forest_morgan"} <= set(baselines(own, rows[:9], rows[9:], trees=2))
    found = mammal.evaluate(Mammal(network, tokenizer, [own]), baselines=False)["t"]
    assert found.ours.estimates["rmse"].value > 0
    assert len(found.answers) == 6 and found.answers["truth"].dtype.kind in "if", "figures show numbers"


@torch.no_grad()
def test_the_loss_of_many_classes_is_that_of_the_probability(network: MammalModel, tokenizer: Tokenizer):
    """One decoder row in learning, every prefix at inference, and the same number from both."""
    labels = [f"fold{i}" for i in range(130)]
    task = declared(tokenizer, "classification", "<SENTINEL_ID_0> {y:label}", labels=labels)
    rows = [{"smiles": smiles, "y": y} for smiles, y in zip(MOLECULES, ["fold7", "fold99", "fold129"], strict=True)]
    learned, judged, asked = (
        task.collate([task.encode(row, i, **how) for i, row in enumerate(rows)])
        for how in ({"target": True}, {"target": True, "judged": True}, {})
    )
    assert len(learned.decoder_ids_DT) == 3 and len(asked.decoder_ids_DT) == 3 * 13
    said = task.decode(network(asked), asked)
    p = [answer.probabilities[labels.index(row["y"])] for answer, row in zip(said, rows, strict=True)]
    assert sum(said[0].probabilities) == pytest.approx(1, abs=1e-5)
    for batch in (learned, judged):
        assert float(task.loss(network(batch), batch)) == pytest.approx(-np.log(p).mean(), rel=1e-4)
    in_validation = task.decode(network(judged), judged)
    assert in_validation[2].probabilities == pytest.approx(said[2].probabilities, rel=1e-4)


def test_generated_numbers_are_a_column_in_the_unit_of_the_file(network: MammalModel, tokenizer: Tokenizer):
    def numbers(scale: dict[str, float]) -> np.ndarray:
        task = declared(tokenizer, "generation", "{tm:scalar}", scale=scale, generation={"max_new_tokens": 2})
        task.candidates_V = np.array([tokenizer.scalar_id])  # weights are random: nothing but a number may come
        frame = Mammal(network, tokenizer, [task]).predict(MOLECULES)
        assert list(frame.columns) == ["smiles", "prediction", "score", "error"] and frame.error.isna().all()
        return frame.prediction.to_numpy(dtype=float)

    plain = numbers({"mean": 0.0, "std": 1.0})
    assert np.isfinite(plain).all() and len(set(plain)) == 3
    np.testing.assert_allclose(numbers({"mean": 300.0, "std": 50.0}), 300 + 50 * plain)


def test_two_classes_among_all_tokens_have_both_probabilities(network: MammalModel, tokenizer: Tokenizer):
    task = declared(tokenizer, "classification", "<SENTINEL_ID_0> {y:label}", labels=["no", "yes"])
    model = Mammal(network, tokenizer, [task])
    raw = model.predict(MOLECULES, vocabulary=True, every_label=True)
    usual = model.predict(MOLECULES, every_label=True)
    assert ((raw.probability_no + raw.probability_yes) < 1).all()
    share = raw.probability_yes / (raw.probability_no + raw.probability_yes)
    np.testing.assert_allclose(share, usual.probability_yes, rtol=1e-4)


def test_a_bundle_carries_what_was_fitted_on_labels(network: MammalModel, tokenizer: Tokenizer, tmp_path: Path):
    """Class weights, calibration of weighted classes, a logarithmic scale with its interval, units by column."""
    rng = np.random.default_rng(0)
    labels = ["a", "b", "c"]
    classes = declared(
        tokenizer, "classification", "<SENTINEL_ID_0> {y:label}", labels=labels, class_weights="balanced"
    )
    rows = [{"smiles": "C", "y": labels[i]} for i in rng.choice(3, size=60, p=[0.8, 0.1, 0.1])]
    classes.fit(rows)
    p_NC = rng.dirichlet(np.ones(3), size=60)
    classes.calibrate([classes.answer(i, np.log(p_C)) for i, p_C in enumerate(p_NC)], rows)
    prompt = {"input": "<MASK> {smiles:smiles}", "target": "{kd:scalar}"}
    given = {"name": "kd", "kind": "regression", "mode": "encoder", "prompt": prompt, "scale": {"log": True}}
    numbers = build_task(load_task({**given, "unit": {"kd": "nM"}}), tokenizer)
    measured = [{"smiles": "C", "kd": f"{10**e:.6g}"} for e in rng.normal(size=60)]
    numbers.fit([*measured, {"smiles": "N", "kd": ">10000"}])
    numbers.calibrate([Prediction(i, value=1.0) for i in range(60)], measured)
    model = Mammal(network, tokenizer, [classes, numbers])
    loaded = mammal.load(model.save(tmp_path / "bundle"))
    for name in ("t", "kd"):
        assert loaded.tasks[name].state() == model.tasks[name].state()
        pd.testing.assert_frame_equal(loaded.predict(MOLECULES, task=name), model.predict(MOLECULES, task=name))
    assert loaded.tasks["t"].state()["calibration"]["y"]["class_weights"][1] > 1
    frame = loaded.predict(MOLECULES, task="kd")
    assert (frame.low > 0).all() and (frame.low < frame.prediction).all() and (frame.prediction < frame.high).all()
