"""How near rows are to the training rows: from training to predictions, jobs and evaluation of the bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.bundle.folder import read_bundle
from mammal.errors import BundleError, ConfigError
from mammal.rows.task_choice import changed_task
from mammal.training.run import train

TASKS = {
    "near_molecules": "kind: regression\nmode: encoder\nmetrics: [rmse]\nprompt: "
    '{input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{length:scalar}"}',
    "near_proteins": 'kind: classification\nlabels: ["no", "yes"]\nmetrics: [auroc]\nprompt: '
    '{input: "<TOX21> {protein:protein}", target: "<SENTINEL_ID_0> {long:label} <SENTINEL_ID_1> {even:label}"}',
}


def records() -> list[dict[str, str]]:
    """Chains of carbon with three ends, and proteins; the molecules of the last rows have a ring."""
    found = []
    for number in range(99):
        n, end = 1 + number // 3, "NOF"[number % 3]
        found.append({
            "smiles": ("c1ccccc1" if n > 28 else "") + "C" * n + end,
            "protein": "M" + "AG" * n + "WKR"[number % 3],
            "length": str(n),
            "long": "yes" if n > 16 else "no",
            "even": "yes" if n % 2 else "no",
        })  # fmt: skip
    return found


@pytest.fixture
def near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bundle):
    """Trains on the rows above and returns the bundle: `near("near_molecules", "adapt=probe")`."""
    from mammal.configuration.compose import compose, parse_arguments

    pd.DataFrame(records()).to_csv(tmp_path / "rows.csv", index=False)
    folder = tmp_path / "configs" / "task"
    folder.mkdir(parents=True)
    source = f"data: {{source: file, path: {tmp_path / 'rows.csv'}, split: random, fractions: [0.4, 0.3, 0.3]}}\n"
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"defaults: [schema, _self_]\nname: {name}\n{text}\n{source}")
    monkeypatch.setenv("MAMMAL_CONFIGS", str(folder.parent))
    start = small_bundle()

    def run(task: str, *more: str) -> Path:
        output = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        words = [f"task={task}", f"output={output}", "trainer.accelerator=cpu", f"init={start}", *more]
        return train(compose("train", parse_arguments("train", words))).bundle

    return run


COLUMNS = ["similarity", "percentile", "outside"]


def test_predictions_of_molecules_say_how_near_they_are(near, tmp_path):
    bundle = near("near_molecules", "adapt=probe", "applicability=full")
    card = (bundle / "README.md").read_text()
    assert "with the inputs and labels of these rows as text" in card and "training_rows.safetensors" in card
    metrics = json.loads((bundle / "metrics.json").read_text())["near_molecules"]["test"]
    assert [group["name"] for group in metrics["distance"]][:4] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert "distance" not in card
    model = mammal.load(bundle, device="cpu")
    rows = [record["smiles"] for record in records()]
    said = model.predict(rows, nearest=2)
    assert list(said.columns) == ["smiles", "prediction", "low", "high", *COLUMNS, "nearest", "error"]
    task = model.tasks["near_molecules"]
    reference = task.training_rows.arrays()["reference"]
    shares = [100 * np.mean(reference <= similarity) for similarity in said["similarity"]]
    assert np.allclose(said["percentile"], shares) and said["outside"].tolist() == [int(s < 10) for s in shares]
    for row, nearest in zip(rows, said["nearest"].map(json.loads), strict=True):
        assert len(nearest) == 2 and nearest[0]["similarity"] >= nearest[1]["similarity"]
        first = nearest[0]["inputs"]["smiles"]
        assert nearest[0]["labels"] == {"length": str(first.count("C"))}
        assert row != first or nearest[0]["similarity"] == 1
    alone = [model.predict([row])["similarity"][0] for row in rows[::20]]
    assert alone == said["similarity"].tolist()[::20]
    strange = model.predict(["CCN", "C[Si](C)(C)[Si](C)(C)C", "not a molecule"])
    assert strange["similarity"][0] > strange["similarity"][1] and np.isnan(strange["similarity"][2])
    assert strange["outside"].tolist()[1] == 1


def test_columns_can_be_left_out_in_python_and_in_jobs(near, tmp_path):
    from mammal.jobs import run_job

    bundle = near("near_molecules", "adapt=probe", "test=false", "applicability=full")
    model, rows = mammal.load(bundle, device="cpu"), pd.DataFrame(records())[["smiles"]]
    without = model.predict(rows, applicability=False, prefix="p_")
    assert list(without.columns) == ["smiles", "p_prediction", "p_low", "p_high", "p_error"]
    with_all = model.predict(rows, prefix="p_")
    assert with_all["p_prediction"].equals(without["p_prediction"]) and "p_outside" in with_all
    rows.to_csv(tmp_path / "in.csv", index=False)
    report = run_job("predict", bundle, tmp_path / "in.csv", tmp_path / "out.csv", options={"nearest": 1}, device="cpu")
    written = pd.read_csv(report.output)
    assert np.allclose(written["similarity"], with_all["p_similarity"]) and "nearest" in written
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())
    assert manifest["options"]["nearest"] == 1 and "Tanimoto" in manifest["meanings"]["similarity"]
    off = {"applicability": False}
    report = run_job("predict", bundle, tmp_path / "in.csv", tmp_path / "off.csv", options=off, device="cpu")
    assert not {*COLUMNS} & {*pd.read_csv(report.output).columns}
    manifest = json.loads((tmp_path / "off.csv.manifest.json").read_text())
    assert manifest["options"]["applicability"] is False and "similarity" not in (manifest["meanings"] or {})


@pytest.mark.parametrize("name, more", [("near_molecules", "adapt=probe"), ("near_proteins", "adapt=head")])
def test_tasks_that_are_predicted_together_have_the_columns_of_their_own(near, name: str, more: str):
    bundle = near(name, more, "trainer.max_steps=2", "test=false", "applicability=full")
    model = mammal.load(bundle, device="cpu")
    model.tasks["copy"] = changed_task(model.tasks[name], {"name": "copy"})
    model.tasks["copy"].training_rows = None
    rows = [record["smiles" if name == "near_molecules" else "protein"] for record in records()]
    alone, together = model.predict(rows, name), model.predict(rows, [name, "copy"])
    for column in alone.columns[1:-1]:
        assert together[f"{name}_{column}"].equals(alone[column])
    assert together["copy_error"].isna().all() and "copy_similarity" not in together
    with pytest.raises(ConfigError, match="nearest"):
        model.predict(rows, [name, "copy"], nearest=1)


def test_rows_of_proteins_are_compared_by_states_and_each_target_has_the_similarity(near):
    bundle = near("near_proteins", "adapt=head", "trainer.max_steps=2", "test=false", "applicability=full")
    model = mammal.load(bundle, device="cpu")
    rows = [record["protein"] for record in records()]
    said = model.predict(rows, nearest=1)
    assert said["similarity"].between(0, 1).all() and (said["similarity"] > 0.9).mean() > 0.3  # training rows
    alone = [model.predict([row])["similarity"][0] for row in rows[::20]]
    assert np.allclose(alone, said["similarity"][::20], atol=1e-4)
    itself = [json.loads(near)[0]["inputs"]["protein"] == row for row, near in zip(rows, said["nearest"], strict=True)]
    assert np.mean(itself) > 0.3 and set(said.columns) >= {"long_prediction", "even_probability", *COLUMNS}
    from mammal.inference.predict import predict_rows

    prediction = predict_rows(model.model, model.tasks["near_proteins"], records()[:1])[0]
    assert prediction.similarity == prediction.by_target["even"].similarity is not None


def test_adapters_keep_training_rows_too_and_a_copy_has_the_same_file(near, tmp_path):
    bundle = near("near_molecules", "adapt=lora", "adapt.save=adapters", "trainer.max_steps=2", "test=false")
    model = mammal.load(bundle, device="cpu")
    assert {*COLUMNS} < {*model.predict(["CCN"]).columns}
    copy = model.save(tmp_path / "copy")
    files = [(folder / "training_rows.safetensors").read_bytes() for folder in (bundle, copy)]
    assert files[0] == files[1]


def test_distances_alone_hold_no_texts_and_off_holds_nothing(near):
    bundle = near("near_molecules", "adapt=probe", "test=false")
    model = mammal.load(bundle, device="cpu")
    assert {*COLUMNS} < {*model.predict(["CCN"]).columns}
    assert set(model.tasks["near_molecules"].training_rows.arrays()) == {"bits", "reference"}
    assert "neither their inputs nor their labels" in (bundle / "README.md").read_text()
    with pytest.raises(ConfigError, match="keeps neither inputs nor labels"):
        model.predict(["CCN"], nearest=1)
    bundle = near("near_molecules", "adapt=probe", "applicability=off", "test=false")
    assert not (bundle / "training_rows.safetensors").exists()
    model = mammal.load(bundle, device="cpu")
    assert list(model.predict(["CCN"]).columns) == ["smiles", "prediction", "low", "high", "error"]
    with pytest.raises(ConfigError, match="keeps no training rows"):
        model.predict(["CCN"], nearest=1)
    with pytest.raises(ConfigError, match="applicability can't be 'ful'"):
        near("near_molecules", "adapt=probe", "applicability=ful")


def test_the_file_is_read_when_a_row_is_compared_and_its_loss_is_explained(near, tmp_path):
    bundle = near("near_molecules", "adapt=probe", "test=false")
    lost = shutil.copytree(bundle, tmp_path / "lost")
    (lost / "training_rows.safetensors").unlink()
    assert read_bundle(lost).tasks["near_molecules"].training_rows.kept.rows > 0  # not read yet
    model = mammal.load(lost, device="cpu")
    assert model.predict(["CCN"], applicability=False)["prediction"].notna().all()
    with pytest.raises(BundleError, match=r"training_rows.safetensors is missing.*applicability=false"):
        model.predict(["CCN"])
