"""Tasks of kind features: labels that are computed, their scales and gaps, losses, predictions and metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rdkit import Chem
from rdkit.Chem.Descriptors import MolWt

from mammal.tasks.batches.batch import ModelOutput
from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.features.descriptor_groups import DESCRIPTOR_GROUPS
from mammal.tasks.features.descriptors import FEWEST, KNOTS, Descriptors
from mammal.tasks.features.morgan import BITS, Morgan
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.kinds.features import FeaturesTask
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.registry import compute_metrics, intervals
from mammal.tasks.targets.losses import vector_loss
from mammal.tasks.task import Task
from mammal.tokenization.errors import PromptError

Make = Callable[..., Task]
SMILES = ["C" * n + tail for n in range(1, 12) for tail in ("O", "N", "c1ccccc1", "C(=O)OC")]
ROWS = [{"smiles": s} for s in SMILES]
INPUT, TARGET = "<MASK>{smiles:smiles}", "{smiles:descriptors}{smiles:morgan}"
NITRO = [*SMILES, *("C" * n + "[N+](=O)[O-]" for n in range(1, 6))]
"""Five molecules have a nitro group, which is fewer than `FEWEST`."""


@pytest.fixture
def make_features(make: Make) -> Callable[..., FeaturesTask]:
    def made(input: str = INPUT, target: str = TARGET, **declared: object) -> FeaturesTask:
        task = make("features", input, target, **{"mode": "encoder", **declared})
        assert isinstance(task, FeaturesTask)
        return task

    return made


@pytest.mark.parametrize(
    ("input", "target", "message"),
    [
        (INPUT, "{smiles:descriptors}{y:scalar}", "predicts features only, and column 'y' is 'scalar'"),
        (INPUT, "{smile:descriptors}", "column 'smile' is not in the input.*smiles"),
        (INPUT, "{smiles:morgan}{smiles:morgan}", "asks for 'morgan' twice"),
        (INPUT + "{smiles:morgan}", "{smiles:morgan}", "in the input and also in the target"),
        ("<MASK><MASK>{smiles:smiles}", TARGET, "one <MASK> of the input, which has 2"),
        ("{smiles:smiles}", TARGET, "one <MASK> of the input, which has 0"),
        ("<MASK>{p:protein}", "{p:descriptors}", "computed from molecules"),
        (INPUT, "{smiles:descriptor}", "unknown entity 'descriptor'.*descriptors"),
    ],
)
def test_targets_that_cannot_be_predicted_are_refused(make_features, input: str, target: str, message: str):
    with pytest.raises(PromptError, match=message):
        make_features(input, target)


@pytest.mark.parametrize("kind", ["regression", "classification", "generation"])
def test_other_kinds_refuse_features_in_the_target(make: Make, kind: str):
    with pytest.raises(PromptError, match=r"can be read but not predicted.*kind: features"):
        make(kind, "<MASK>{smiles:smiles}", "{smiles:descriptors}", labels=["0", "1"])


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"mode": "decoder"}, "runs in mode encoder"),
        ({"feature_weights": {"morgn": 1}}, "'morgn', which is not predicted.*morgan"),
        ({"feature_weights": {"morgan": -1}}, "feature_weights.morgan must be 0 or more"),
        ({"feature_weights": {"morgan": 0, "descriptors": 0}}, "all feature_weights are 0"),
        ({"metrics": ["rmse"]}, "does not apply to a features task.*explained_variance"),
    ],
)
def test_declarations_that_cannot_work_are_refused(make_features, declared: dict, message: str):
    with pytest.raises(TaskError, match=message):
        make_features(**declared)


def test_feature_weights_are_for_features(make: Make):
    with pytest.raises(TaskError, match="feature_weights are for kind features"):
        make("regression", INPUT, "{y:scalar}", feature_weights={"morgan": 1})


def test_a_molecule_becomes_its_features(make_features):
    task = make_features()
    task.fit(ROWS)
    batch = task.collate([task.encode(row, n, target=True) for n, row in enumerate(ROWS[:3])])
    assert batch.wants == batch.to("cpu").wants == ("vectors",) and batch.vectors == ("descriptors", "morgan")
    assert {name: tuple(v.shape) for name, v in batch.label_vectors.items()} == {
        "descriptors": (3, 215),
        "morgan": (3, BITS),
    }
    assert batch.ids_BL.gather(1, batch.read_DR).tolist() == [[task.tokenizer.mask_id]] * 3
    counts = Morgan().of(SMILES[2])
    assert batch.label_vectors["morgan"][2].numpy().tolist() == (counts > 0).tolist()
    weights = np.array([MolWt(Chem.MolFromSmiles(s)) for s in SMILES])
    column = batch.label_vectors["descriptors"][:, NAMES.index("MolWt")].numpy()
    assert np.argsort(column).tolist() == np.argsort(weights[:3]).tolist()
    assert batch.label_vectors["descriptors"].nan_to_num().abs().max() <= KNOTS[-1]
    asked = task.collate([task.encode(ROWS[0])])
    assert asked.label_vectors == {} and asked.vectors == batch.vectors


def test_content_leaves_out_tags(make_features):
    task = make_features()
    task.fit(ROWS)
    batch = task.collate([task.encode(row) for row in ROWS[:2]])
    content = [task.tokenizer.token(i) for i in batch.ids_BL[1][batch.content_BL[1]].tolist()]
    assert "".join(content) == SMILES[1] and batch.to("cpu").content_BL is not None


def test_descriptors_that_hardly_vary_have_no_label(make_features):
    task = make_features()
    task.fit([{"smiles": s} for s in NITRO])
    vector = task.targets.features["descriptors"].target_of(NITRO[-1])
    assert FEWEST == 20 and np.isnan(vector[NAMES.index("fr_nitro")]) and np.isnan(vector[NAMES.index("fr_azide")])
    assert not np.isnan(vector[[NAMES.index(name) for name in ("MolWt", "MolLogP", "TPSA")]]).any()
    left_out = task.state()["targets"]["descriptors"]["scale"]["not_predicted"]
    assert {"fr_nitro", "fr_azide"} <= set(left_out) and "MolWt" not in left_out


def test_rows_that_do_not_differ_teach_nothing(make_features):
    with pytest.raises(TaskError, match="do not differ in any feature"):
        make_features(target="{smiles:descriptors}").fit([{"smiles": "CCO"}] * 30)


def test_the_state_brings_every_scale_back(make_features):
    task, fresh = make_features(), make_features()
    with pytest.raises(TaskError, match="not known yet"):
        fresh.encode(ROWS[0], target=True)
    task.fit([{"smiles": s} for s in NITRO])
    fresh.load_state(yaml.safe_load(yaml.safe_dump(task.state(), sort_keys=False)))
    ours, theirs = (t.collate([t.encode(ROWS[5], target=True)]) for t in (task, fresh))
    for name in ours.vectors:
        assert torch.equal(ours.label_vectors[name].nan_to_num(9), theirs.label_vectors[name].nan_to_num(9))
    zeros = ModelOutput(vectors={n: torch.zeros(1, 2, v.shape[1]) for n, v in ours.label_vectors.items()})
    assert float(task.loss(zeros, ours)) == pytest.approx(float(fresh.loss(zeros, theirs)), rel=1e-5)


def test_molecules_that_rdkit_cannot_parse_are_left_out_with_the_reason(make_features):
    for policy in ("normalised", "off"):
        task = make_features(standardise=policy)
        task.fit([*ROWS, {"smiles": "CC("}])
        examples, errors = encode_rows(task, [ROWS[0], {"smiles": "CC("}, {"smiles": ""}], target=True)
        assert [e.row_id for e in examples] == [0] and [row for row, _ in errors] == [1, 2]
        assert "invalid SMILES" in errors[0][1] and "empty" in errors[1][1]


def test_labels_do_not_depend_on_the_spelling(make_features):
    task = make_features(views={"smiles": {"smiles": 3, "random_smiles": 7}})
    rows = [*ROWS, {"smiles": "CC(=O)Oc1ccccc1C(=O)O"}]
    task.fit(rows)
    plain, _ = encode_rows(task, rows[-1:], ["aspirin"], target=True)
    seen, labels = set(), []
    for task.epoch in range(8):
        (example,), _ = encode_rows(task, rows[-1:], ["aspirin"], target=True, drawn=True)
        seen.add(tuple(example.input.ids_L.tolist()))
        labels.append(example.label_vectors)
    assert len(seen) > 3 and task.varies
    for name in ("descriptors", "morgan"):
        assert all(np.array_equal(of[name], plain[0].label_vectors[name], equal_nan=True) for of in labels)
    other, _ = encode_rows(task, [{"smiles": "OC(=O)c1ccccc1OC(C)=O"}], target=True)
    assert np.array_equal(other[0].label_vectors["morgan"], plain[0].label_vectors["morgan"])


def test_features_of_a_molecule_are_computed_once(make_features, monkeypatch: pytest.MonkeyPatch):
    computed: list[str] = []
    values = Descriptors.values
    monkeypatch.setattr(Descriptors, "values", lambda self, text: computed.append(text) or values(self, text))
    task = make_features(views={"smiles": ["random_smiles"]})
    task.fit([*ROWS, *ROWS])
    for task.epoch in range(3):
        for row in ROWS:
            assert task.encode(row, target=True).label_vectors["descriptors"].shape == (215,)
    assert sorted(computed) == sorted({Chem.CanonSmiles(smiles) for smiles in SMILES})


def test_losses_by_hand():
    outputs = torch.tensor([[[1.0, 2.0, 9.0], [3.0, 0.0, 9.0]]])
    labels = torch.tensor([[2.0, 1.0, float("nan")]])
    assert float(vector_loss(outputs, labels, "squared")) == pytest.approx((1 + 1 + 1 + 1) / 4)
    bits = torch.tensor([[1.0, 0.0, float("nan")]])
    by_hand = [math.log1p(math.exp(-x)) for x in (1, 3)] + [math.log1p(math.exp(x)) for x in (2, 0)]
    assert float(vector_loss(outputs, bits, "binary")) == pytest.approx(sum(by_hand) / 4)
    assert float(vector_loss(outputs, torch.full((1, 3), float("nan")), "squared")) == 0


def test_unknown_entries_get_no_gradient():
    outputs = torch.randn(2, 2, 3, requires_grad=True)
    labels = torch.tensor([[float("nan"), 1.0, 0.0], [0.0, float("nan"), 1.0]])
    for kind in ("squared", "binary"):
        (gradient,) = torch.autograd.grad(vector_loss(outputs, labels, kind), outputs)
        assert torch.equal((gradient != 0).any(dim=1), ~torch.isnan(labels))


def test_the_loss_of_a_task_is_the_weighted_mean_of_unexplained_shares(make_features):
    task = make_features(feature_weights={"descriptors": 3})
    task.fit(ROWS)
    batch = task.collate([task.encode(row, n, target=True) for n, row in enumerate(ROWS)])
    shapes = {name: (len(ROWS), 2, labels.shape[1]) for name, labels in batch.label_vectors.items()}
    means = batch.label_vectors["descriptors"].nanmean(dim=0).nan_to_num()
    vectors = {"descriptors": means.expand(shapes["descriptors"]), "morgan": torch.zeros(shapes["morgan"])}
    constant = ModelOutput(vectors=vectors)
    assert float(task.loss(constant, batch)) == pytest.approx(1, rel=1e-4)
    right = batch.label_vectors["descriptors"].nan_to_num().unsqueeze(1).expand(shapes["descriptors"])
    half = ModelOutput(vectors={"descriptors": right, "morgan": vectors["morgan"]})
    assert float(task.loss(half, batch)) == pytest.approx(float(task.loss(constant, batch)) - 0.75, rel=1e-4)


def test_predictions_are_the_mean_of_both_readings_in_the_units_of_the_feature(make_features):
    task = make_features()
    task.fit(ROWS)
    batch = task.collate([task.encode(ROWS[0])])
    descriptors, bits = torch.zeros(1, 2, 215), torch.zeros(1, 2, BITS)
    descriptors[0, 0], descriptors[0, 1] = 1.0, -1.0
    (said,) = task.decode(ModelOutput(vectors={"descriptors": descriptors, "morgan": bits}), batch)
    assert said.vectors["descriptors"].tolist() == [0.0] * 215
    set_share = np.mean([Morgan().of(s) > 0 for s in SMILES], axis=0)
    assert np.allclose(said.vectors["morgan"], set_share, atol=0.02)
    values = task.original("descriptors", said)
    median = np.median([MolWt(Chem.MolFromSmiles(s)) for s in SMILES])
    assert values[NAMES.index("MolWt")] == pytest.approx(median, rel=0.02)
    assert np.isnan(values[NAMES.index("fr_azide")])
    assert np.array_equal(task.original("morgan", said), said.vectors["morgan"])


def test_metrics_agree_with_scikit_learn(make_features):
    from sklearn.metrics import average_precision_score, r2_score

    rng = np.random.default_rng(0)
    truth, answer = rng.normal(size=(30, 4)), rng.normal(size=(30, 4))
    answer[:, 0] = truth[:, 0] + 0.1 * answer[:, 0]
    truth[5:, 1], truth[:, 3] = np.nan, 2.0
    by_hand = [r2_score(truth[:n, k], answer[:n, k]) for k, n in ((0, 30), (1, 5), (2, 30))]
    scores = Answers(truth, answer)
    assert compute_metrics(["explained_variance"], {"d": scores})["explained_variance"] == pytest.approx(
        np.mean(by_hand)
    )
    low, high = intervals(["explained_variance"], {"d": scores}, samples=200)["explained_variance"]
    assert low < np.mean(by_hand) < high
    bits, chances = rng.random((30, 3)) < 0.3, rng.random((30, 3))
    bits[:, 2] = False
    expected = np.mean([average_precision_score(bits[:, k], chances[:, k]) for k in (0, 1)])
    answers = {"d": scores, "m": Answers(bits, chances)}
    found = compute_metrics(["explained_variance", "bit_average_precision"], answers)
    assert found["bit_average_precision"] == pytest.approx(expected)
    empty = Answers(np.zeros((0, 3)), np.zeros((0, 3)))
    assert math.isnan(compute_metrics(["explained_variance"], {"d": empty})["explained_variance"])


def test_groups_hold_every_descriptor_once():
    places = np.concatenate(list(DESCRIPTOR_GROUPS.values()))
    assert sorted(places.tolist()) == list(range(len(NAMES)))
    assert all(NAMES[place].startswith("fr_") for place in DESCRIPTOR_GROUPS["fragments"])


def test_metrics_of_a_task_are_over_rows_with_an_answer(make_features):
    task = make_features(metrics=["explained_variance", "bit_average_precision"])
    task.fit(ROWS)
    batch = task.collate([task.encode(row, n, target=True) for n, row in enumerate(ROWS)])
    right = {n: v.nan_to_num().unsqueeze(1).expand(-1, 2, -1) for n, v in batch.label_vectors.items()}
    right["morgan"] = right["morgan"] * 60 - 30
    said = task.decode(ModelOutput(vectors=right), batch)
    from mammal.tasks.batches.prediction import Prediction

    figures = task.metrics([*said, Prediction(99, error="none")], [*ROWS, {"smiles": "CC("}])
    assert figures["explained_variance"] == pytest.approx(1) and figures["bit_average_precision"] == pytest.approx(1)
    assert figures["explained_variance/counts"] == pytest.approx(1)


def test_esm2_states_can_be_predicted(make_features, esm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAMMAL_ESM2", str(esm_folder))
    task = make_features("<MASK>{p:protein}", "{p:esm2}", metrics=["explained_variance"])
    rows = [{"p": "MKTAYIAK"}, {"p": "MKTAY"}, {"p": "GAVLK"}, {"p": "MK*"}]
    task.fit(rows)
    examples, errors = encode_rows(task, rows, target=True)
    assert [e.label_vectors["esm2"].shape for e in examples] == [(320,)] * 3 and errors[0][0] == 3
    monkeypatch.setenv("MAMMAL_ESM2", "/nowhere")
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    with pytest.raises(DataError, match="MAMMAL_ESM2"):
        make_features("<MASK>{p:protein}", "{p:esm2}", metrics=["explained_variance"]).fit([{"p": "MKTTTT"}])
