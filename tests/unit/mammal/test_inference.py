"""The Python API: order, units, bad rows, and answers that depend only on the row."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.errors import ConfigError, DataError, TaskError
from mammal.rows.batched import Pace

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "C", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "O=C=O"]
PROMPT = "<@TOKENIZER-TYPE=SMILES>CCO<EOS>"


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle)


@pytest.fixture
def fresh(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle, task="melting_point")


# Predict


def test_three_lines(tiny_bundle: Path) -> None:
    model = mammal.load(tiny_bundle, task="bbbp")
    frame = model.predict(["CCO", "c1ccccc1"])
    assert list(frame.columns) == ["smiles", "prediction", "probability", "error"]
    assert frame.smiles.tolist() == ["CCO", "c1ccccc1"]
    assert set(frame.prediction) <= {"0", "1"} and frame.probability.between(0, 1).all() and frame.error.isna().all()


def test_bad_rows_keep_their_place_and_say_why(model: mammal.Mammal) -> None:
    given = ["CCO", "C1CC", "", None, "CCO", float("nan"), "not a molecule"]
    frame = model.predict(given, task="bbbp")
    assert frame.error.isna().tolist() == [True, False, False, False, True, False, False]
    assert frame.prediction.isna().equals(frame.error.notna())
    assert "smiles" in frame.error[1] and "empty" in frame.error[2]
    assert frame.probability[0] == frame.probability[4]


def test_a_frame_keeps_its_columns_index_and_types(fresh: mammal.Mammal) -> None:
    given = pd.DataFrame(
        {"name": ["a", "b"], "smiles": ["CCO", "CC"], "dose": pd.array([1, None], dtype="Int64")}, index=["x", "y"]
    )
    frame = fresh.predict(given)
    pd.testing.assert_frame_equal(frame[["name", "smiles", "dose"]], given)
    assert frame.loc["y", "prediction"] == pytest.approx(fresh.predict(["CC"]).prediction[0])


def test_answers_are_in_the_unit_of_the_training_file(fresh: mammal.Mammal) -> None:
    """The bundle's scale (mean 200, standard deviation 50) turns the head's output into kelvin."""
    task, raw = fresh.task, fresh.predict(MOLECULES).prediction
    task.load_state({"scales": {"tm": {"mean": 0.0, "std": 1.0}}})
    np.testing.assert_allclose(raw, 200 + 50 * fresh.predict(MOLECULES).prediction, rtol=1e-6)


class Published:
    """The published checkpoint shape with recorded outputs, and the values that stand in its recorded prompts."""

    def __init__(self, shared: Path):
        fixtures = shared / "compat" / "fixtures"
        self.checkpoint = fixtures / "checkpoints" / "finetune_dir" / "best_epoch.ckpt"
        self.arrays = np.load(fixtures / "golden_outputs.npz")
        recorded = json.loads((fixtures / "golden_outputs.json").read_text())
        self.columns = recorded["cols"]
        pattern = "<SEQUENCE_NATURAL_START>(.*?)<SEQUENCE_NATURAL_END>"
        self.values = [tuple(re.findall(pattern, prompt)) for prompt in recorded["prompts"]]

    def class_logits(self, prompts: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Recorded logits of `<0>` and `<1>` at the class position [prompts, 2], and log-sum-exp over all tokens."""
        places = [self.columns.index(44), self.columns.index(45)]
        logits = self.arrays["gated.dec.logits.cols"][prompts, 1][:, places]
        return logits.astype(np.float64), self.arrays["gated.dec.logits.logsumexp"][prompts, 1].astype(np.float64)


@pytest.fixture(scope="module")
def published(shared: Path) -> Published:
    return Published(shared)


def test_published_affinities(published: Published) -> None:
    """pKd = scalar at `<MASK>` * std + mean, with the constants of the published split."""
    model = mammal.load(published.checkpoint, task="dti_bindingdb_pkd")
    frame = model.predict([published.values[4], published.values[5]])
    scalars = published.arrays["gated.enc.scalars"][[4, 5], 0]
    assert frame.error.isna().all()
    np.testing.assert_allclose(frame.prediction, scalars * 1.33808027428196 + 5.79384684128215, atol=2e-4)


@pytest.mark.parametrize(
    ("task", "prompts"), [("ppi", [0, 1]), ("protein_solubility", [2, 3]), ("moleculenet_clintox_tox", [7, 8])]
)
def test_published_probabilities(published: Published, task: str, prompts: list[int]) -> None:
    """Normalised over the two classes, and raw over the whole vocabulary as the published code gives them."""
    model = mammal.load(published.checkpoint, task=task)
    rows = [published.values[prompt] for prompt in prompts]
    logits, normaliser = published.class_logits(prompts)
    two_classes = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    np.testing.assert_allclose(model.predict(rows).probability, two_classes, atol=1e-5)
    raw = np.exp(logits[:, 1] - normaliser)
    np.testing.assert_allclose(model.predict(rows, vocabulary=True).probability, raw, rtol=1e-4)


@pytest.mark.parametrize("task", ["bbbp", "melting_point"])
def test_an_answer_depends_on_its_row_alone(tiny_bundle: Path, task: str) -> None:
    model = mammal.load(tiny_bundle, task=task)
    column = "probability" if task == "bbbp" else "prediction"
    together = model.predict(MOLECULES)[column].to_numpy()
    backwards = model.predict(MOLECULES[::-1])[column].to_numpy()[::-1]
    alone = np.concatenate([model.predict([molecule])[column] for molecule in MOLECULES])
    model.pace = Pace(tokens=60, rows=2, window=3)
    in_small_batches = model.predict(MOLECULES)[column].to_numpy()
    for other in (backwards, alone, in_small_batches):
        np.testing.assert_allclose(other, together, rtol=2e-5)


def test_rows_that_are_equal_are_computed_once(fresh: mammal.Mammal, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = type(fresh.model).forward
    monkeypatch.setattr(
        type(fresh.model), "forward", lambda self, batch: seen.append(len(batch)) or forward(self, batch)
    )
    given = pd.DataFrame({"smiles": ["CCO", "CC", "CCO", "CCO", "CC"], "tm": range(5)})
    answers = fresh.predict(given).prediction
    assert sum(seen) == 2
    assert answers[0] == answers[2] == answers[3] and answers[1] == answers[4] != answers[0]


def test_many_ways_to_hand_over_rows(fresh: mammal.Mammal, tmp_path: Path) -> None:
    expected = fresh.predict(["CCO", "CC"]).prediction.tolist()
    frame = pd.DataFrame({"smiles": ["CCO", "CC"]})
    frame.to_csv(tmp_path / "two.csv", index=False)
    forms = [frame, frame.smiles, np.array(["CCO", "CC"]), [{"smiles": "CCO"}, {"smiles": "CC"}], [("CCO",), ("CC",)]]
    for form in [*forms, tmp_path / "two.csv", str(tmp_path / "two.csv"), iter(["CCO", "CC"])]:
        assert fresh.predict(form).prediction.tolist() == expected
    assert fresh.predict("CCO").prediction.tolist() == pytest.approx(expected[:1])
    assert fresh.predict({"smiles": "CCO"}).prediction.tolist() == pytest.approx(expected[:1])
    assert fresh.predict([]).empty


def test_columns_under_another_name(fresh: mammal.Mammal) -> None:
    frame = pd.DataFrame({"written": ["CCO"], "id": [7]})
    with pytest.raises(DataError, match="smiles"):
        fresh.predict(frame)
    answered = fresh.predict(frame, columns={"smiles": "written"})
    assert answered.prediction[0] == fresh.predict(["CCO"]).prediction[0]
    assert list(answered.columns) == ["written", "id", "prediction", "error"]


def test_a_column_of_the_result_never_overwrites_the_users(fresh: mammal.Mammal) -> None:
    frame = pd.DataFrame({"smiles": ["CCO"], "prediction": [1]})
    with pytest.raises(DataError, match="prediction"):
        fresh.predict(frame)
    assert list(fresh.predict(frame, prefix="tm_").columns) == ["smiles", "prediction", "tm_prediction", "tm_error"]


def test_class_probabilities_and_raw_ones(model: mammal.Mammal) -> None:
    every = model.predict(MOLECULES, task="bbbp", every_label=True)
    np.testing.assert_allclose(every.probability_0 + every.probability_1, 1)
    raw = model.predict(MOLECULES, task="bbbp", vocabulary=True).probability
    assert (raw < every.probability).all() and (raw > 0).all()


def test_two_values_for_one_column(fresh: mammal.Mammal) -> None:
    with pytest.raises(DataError, match="row 1"):
        fresh.predict([("CCO", "CC")])


# Tasks


def test_which_task(model: mammal.Mammal) -> None:
    with pytest.raises(TaskError, match="several tasks"):
        model.predict(MOLECULES)
    with pytest.raises(TaskError, match="did you mean bbbp"):
        model.predict(MOLECULES, task="bbbpp")
    with pytest.raises(TaskError, match="scale"):
        model.predict(MOLECULES, task={**_melting_point(), "name": "never_fitted"})


def _melting_point() -> dict:
    prompt = {"input": "<MELTING_POINT><MASK> {smiles:smiles}", "target": "{tm:scalar}"}
    return {"name": "mp", "kind": "regression", "mode": "encoder", "prompt": prompt, "metrics": ["rmse"]}


def test_a_model_without_tasks_says_so(shared: Path) -> None:
    folder = shared / "compat" / "fixtures" / "checkpoints" / "finetune_dir"
    with pytest.raises(TaskError, match="comes without a task"):
        mammal.load(folder / "best_epoch.ckpt").predict(["CCO"])


def test_unknown_device_and_dtype(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError):
        mammal.load(tiny_bundle, device="gpu9")
    with pytest.raises(ConfigError):
        mammal.load(tiny_bundle, dtype="float31")


def test_bfloat16_on_request(tiny_bundle: Path) -> None:
    small = mammal.load(tiny_bundle, task="bbbp", dtype="bfloat16")
    exact = mammal.load(tiny_bundle, task="bbbp", dtype="float32")
    assert "bfloat16" in repr(small)
    np.testing.assert_allclose(small.predict(MOLECULES).probability, exact.predict(MOLECULES).probability, atol=0.03)


# Embed


def test_embeddings_line_up_with_rows(fresh: mammal.Mammal, caplog: pytest.LogCaptureFixture) -> None:
    vectors = fresh.embed(["CCO", "C1CC", "CC", "CCO"])
    assert vectors.shape == (4, 32) and vectors.dtype == np.float32
    assert np.isnan(vectors[1]).all() and np.isfinite(vectors[[0, 2, 3]]).all()
    np.testing.assert_array_equal(vectors[0], vectors[3])
    assert "1 of 4 rows have no vector; the first is row 2" in caplog.text
    np.testing.assert_allclose(fresh.embed(["CC"])[0], vectors[2], atol=1e-5)


def test_pooling_is_over_the_value_not_its_tags(model: mammal.Mammal) -> None:
    whole = model.embed(["MKT"], entity="protein", pooling="none")[0]
    mean = model.embed(["MKT"], entity="protein")[0]
    start = len(whole) - 3 - 2  # residues stand before <SEQUENCE_NATURAL_END> and <EOS>
    np.testing.assert_allclose(whole[start : start + 3].mean(axis=0), mean, atol=1e-5)
    np.testing.assert_allclose(
        model.embed(["MKT"], entity="protein", pooling="max")[0], whole[start : start + 3].max(axis=0), atol=1e-5
    )
    np.testing.assert_allclose(model.embed(["MKT"], entity="protein", pooling="first")[0], whole[0], atol=1e-5)


def test_unknown_entity_and_pooling(model: mammal.Mammal) -> None:
    with pytest.raises(ConfigError, match="protein"):
        model.embed(["MKT"], entity="protien")
    with pytest.raises(ConfigError, match="mean"):
        model.embed(["MKT"], entity="protein", pooling="maen")


# Generate


def test_sampling_repeats_with_its_seed(model: mammal.Mammal) -> None:
    first, again, other = (model.generate(task="molecules", n=6, max_new_tokens=8, seed=s) for s in (1, 1, 2))
    assert first["sample"].tolist() == list(range(6)) and first.error.isna().all()
    assert first.text.tolist() == again.text.tolist() != other.text.tolist()
    assert len(set(first.text)) > 1 and (first.score < 0).all()
    assert not any(tag in text for text in first.text for tag in ("<SENTINEL", "<EOS>", "<PAD>"))


def test_many_samples_are_drawn_in_rounds(model: mammal.Mammal) -> None:
    frame = model.generate(task="molecules", n=70, max_new_tokens=12)
    assert frame["sample"].tolist() == list(range(70)) and len(set(frame.text)) > 60


def test_greedy_and_beams_are_no_matter_of_chance(model: mammal.Mammal) -> None:
    settings = {"task": "molecules", "max_new_tokens": 8, "do_sample": False}
    greedy = [model.generate(seed=seed, **settings).text[0] for seed in (1, 2)]
    assert greedy[0] == greedy[1]
    beams = model.generate(task="molecules", n=2, num_beams=3, max_new_tokens=8)
    assert len(beams) == 2 and beams.score.iloc[0] >= beams.score.iloc[1]


def test_a_prompt_on_the_wire_is_answered_on_the_wire(model: mammal.Mammal) -> None:
    frame = model.generate(PROMPT, max_new_tokens=5)
    assert frame.prompt.tolist() == [PROMPT] and isinstance(frame.text[0], str)
    two = model.generate([PROMPT, "<@TOKENIZER-TYPE=NOPE>CCO<EOS>"], n=2, max_new_tokens=5)
    assert two["sample"].isna().tolist() == [False, False, True] and "NOPE" in two.error.iloc[2]


def test_settings_that_contradict(model: mammal.Mammal) -> None:
    with pytest.raises(ConfigError, match="num_beams"):
        model.generate(task="molecules", n=4, num_beams=2)
    with pytest.raises(TaskError, match="predict"):
        model.generate(["CCO"], task="bbbp")
    with pytest.raises(ConfigError, match="n must be"):
        model.generate(task="molecules", n=0)


# Score


def test_likelihoods_of_all_labels_sum_to_one(model: mammal.Mammal) -> None:
    scores = [model.score(MOLECULES, [label] * len(MOLECULES), task="bbbp").log_likelihood for label in ("0", "1")]
    np.testing.assert_allclose(np.exp(scores).sum(axis=0), 1, rtol=1e-5)
    probability = model.predict(MOLECULES, task="bbbp").probability
    np.testing.assert_allclose(np.exp(scores[1]), probability, rtol=1e-5)


def test_targets_may_stand_in_the_rows(model: mammal.Mammal) -> None:
    rows = [{"smiles": "CCO", "p_np": "1"}, {"smiles": "CC", "p_np": "maybe"}]
    frame = model.score(rows, task="bbbp")
    assert frame.log_likelihood[0] == model.score(["CCO"], ["1"], task="bbbp").log_likelihood[0]
    assert math.isnan(frame.log_likelihood[1]) and "maybe" in frame.error[1]


def test_scores_need_targets_and_a_likelihood(model: mammal.Mammal) -> None:
    with pytest.raises(DataError, match="1 targets for 2 rows"):
        model.score(["CCO", "CC"], ["1"], task="bbbp")
    with pytest.raises(TaskError, match="no likelihood"):
        model.score(["CCO"], ["100"], task="melting_point")
