from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from mammal.tasks.baselines.baseline_features import esm2_states
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.features import FEATURES
from mammal.tasks.features.descriptors import KNOTS, Descriptors, descriptors, normal_scores
from mammal.tasks.features.esm2 import LONGEST, VARIABLE, Esm2
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.task import Task
from mammal.tokenization.errors import PromptError
from mammal.tokenization.template_syntax import READ_BY_FEATURE

Make = Callable[..., Task]
SMILES = ["C" * n + tail for n in range(1, 12) for tail in ("O", "N", "c1ccccc1")]
ROWS = [{"smiles": s, "y": len(s)} for s in SMILES]
INPUT = "<MASK> {smiles:smiles} {smiles:descriptors}"
ESM = "esm2_t6_8M_UR50D"


def test_the_installed_rdkit_has_every_descriptor():
    assert len(NAMES) == len(set(NAMES)) == 215
    assert np.isfinite(descriptors("CC(=O)Oc1ccccc1C(=O)O")).all()


def test_descriptors_are_spread_as_normal_scores_of_the_training_molecules():
    feature = Descriptors()
    feature.fit([*SMILES, "CC("])
    values_NF = np.stack([feature.of(s) for s in SMILES])
    assert values_NF.shape == (len(SMILES), len(NAMES)) and values_NF.dtype == np.float32
    weight = values_NF[:, NAMES.index("MolWt")]
    assert np.median(weight) == pytest.approx(0, abs=0.1) and weight.std() == pytest.approx(1, abs=0.15)
    assert (values_NF[:, NAMES.index("fr_nitro")] == 0).all()  # the same everywhere: says nothing


def test_what_cannot_be_computed_is_the_median_and_extremes_stay_within_the_knots():
    feature = Descriptors()
    feature.fit(SMILES)
    assert np.isnan(descriptors("CC(")).all() and (feature.of("CC(") == 0).all()
    assert np.abs(feature.of("C" * 300)).max() == KNOTS[-1]


@pytest.mark.parametrize(
    ("value", "score"), [(-5, -2.5), (0.0, -1.25), (0.5, 1.25), (1.0, 2.5), (99, 2.5), (np.nan, 0), (np.inf, 0)]
)
def test_a_value_that_quantiles_share_gets_the_middle_of_their_scores(value: float, score: float):
    shared_K = np.array([[0.0] * 11 + [1.0] * 10])  # half zeros, half ones
    between = KNOTS[10] + (KNOTS[11] - KNOTS[10]) / 2
    expected = {0.0: KNOTS[:11].mean(), 0.5: between, 1.0: KNOTS[11:].mean()}.get(value, score)
    assert normal_scores(np.array([value], dtype=float), shared_K)[0] == pytest.approx(expected)


def test_a_prompt_carries_each_feature_at_one_token(make: Make):
    task = make("regression", INPUT + " {smiles:morgan}", "{y:scalar}")
    with pytest.raises(TaskError, match="not known yet"):
        task.encode(ROWS[0])
    task.fit([{"smiles": "CC(", "y": 1}, *ROWS])
    example = task.encode(ROWS[3])
    found = {e.name: e for e in example.input.embeddings}
    assert {name: e.vectors_XW.shape for name, e in found.items()} == {"descriptors": (1, 215), "morgan": (1, 2048)}
    token = task.tokenizer.special_id("<EMBEDDINGS>")
    assert [example.input.ids_L[e.start] for e in found.values()] == [token, token]
    assert found["descriptors"].vectors_XW[0] == pytest.approx(task.features["smiles.descriptors"].of(SMILES[3]))
    assert found["morgan"].vectors_XW.sum() > 0


def test_a_feature_can_stand_without_the_text_it_is_computed_from(make: Make):
    task = make("regression", "<MASK> {smiles:descriptors}", "{y:scalar}")
    task.fit(ROWS)
    assert task.columns == ["smiles"] and task.molecules == {"smiles"}
    with pytest.raises(DataError, match="CC\\("):
        task.encode({"smiles": "CC(", "y": 1})


def test_the_state_brings_the_scale_back(make: Make):
    task, fresh = (make("regression", INPUT, "{y:scalar}") for _ in range(2))
    task.fit(ROWS)
    fresh.load_state(task.state())
    ours, theirs = (t.encode(ROWS[0]).input.embeddings[0].vectors_XW for t in (task, fresh))
    assert ours.tolist() == theirs.tolist()


def test_what_was_never_fitted_has_no_state_and_other_descriptors_are_refused(make: Make):
    task = make("regression", INPUT, "{y:scalar}")
    assert "features" not in task.state()
    task.fit(ROWS)
    state = task.state()
    plain = make("regression", "<MASK> {smiles:smiles}", "{y:scalar}")
    plain.load_state(state)  # asked with a prompt of its own
    del state["features"]["smiles.descriptors"]["MolWt"]
    with pytest.raises(TaskError, match="the stored 214 descriptors are not the 215"):
        task.load_state(state)


@pytest.mark.parametrize(
    ("feature", "raw", "message"),
    [
        ("descriptors", False, "COLUMN:FEATURE"),
        ("smiles:descriptor", False, "one of descriptors, morgan, esm2"),
        ("smiles:smiles", False, "features has 'smiles:smiles'"),
        ("smiles:descriptors", True, "raw prompt"),
    ],
)
def test_a_feature_that_cannot_be_added_is_reported_in_its_own_words(make: Make, feature: str, raw: bool, message: str):
    with pytest.raises(TaskError, match=message):
        make("regression", "<MASK> {smiles:smiles}", "{y:scalar}", features=[feature], raw=raw)


def test_values_that_training_molecules_share_keep_their_score_through_the_bundle():
    """Every quantile of one repeated molecule is its own value, however many digits that has: all scores are 0."""
    alike = Descriptors()
    alike.fit(["CC(C)Cc1ccc(cc1)C(C)C(=O)O"] * 30)
    assert not alike.of("CC(C)Cc1ccc(cc1)C(C)C(=O)O").any()
    mixed = Descriptors()
    mixed.fit(["CCO"] * 20 + ["c1ccccc1O"] * 20 + ["CC(C)Cc1ccc(cc1)C(C)C(=O)O"] * 20)
    again = Descriptors()
    again.load_state(yaml.safe_load(yaml.safe_dump(mixed.state(), sort_keys=False)))
    assert np.array_equal(mixed.quantiles_FK, again.quantiles_FK)
    assert np.array_equal(mixed.of("c1ccccc1O"), again.of("c1ccccc1O"))


def test_a_feature_of_molecules_is_refused_on_proteins(make: Make):
    with pytest.raises(TaskError, match="both molecules and sequences"):
        make("regression", "<MASK> {p:esm2} {p:descriptors}", "{y:scalar}")
    with pytest.raises(PromptError, match="computed from molecules"):
        make("regression", "<MASK> {p:protein} {p:descriptors}", "{y:scalar}")


def test_esm2_gives_the_mean_state_of_the_residues(esm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, str(esm_folder))
    feature = Esm2()
    short, long = feature.of("MKTAYIAKQR"), feature.of("MKTAYIAKQR" * (LONGEST // 10 + 2))
    assert short.shape == long.shape == (feature.width,) and np.isfinite(long).all()
    assert not np.allclose(short, feature.of("RQKAIYATKM"))
    with pytest.raises(DataError, match="does not read ':', 'k'"):
        feature.of("MkT:A")
    assert esm2_states(ESM)(["MXTXA", "MkT:A"]).tolist() == [feature.of("MXTXA").tolist()] * 2


def test_esm2_in_a_prompt_needs_its_weights(
    make: Make, esm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = make("regression", "<MASK> {p:protein} {p:esm2}", "{y:scalar}")
    task.fit([{"p": "MKTAYIAK", "y": 1}, {"p": "MKTAY", "y": 2}])
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError, match=VARIABLE):
        task.encode({"p": "MKT"})
    monkeypatch.setenv(VARIABLE, str(esm_folder))
    assert task.encode({"p": "MKT"}).input.embeddings[0].vectors_XW.shape == (1, 320)
    with pytest.raises(TaskError, match="esm2_t6_8M_UR50D"):
        Esm2("esm2_t6_8M")


def test_a_damaged_esm2_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / f"{ESM}.pt").write_bytes(b"no checkpoint")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match="not an ESM-2 checkpoint"):
        Esm2().of("MKT")


def test_every_feature_slot_has_its_feature():
    assert set(FEATURES) == set(READ_BY_FEATURE), "tasks/features/__init__.py and tokenization/template_syntax.py"
