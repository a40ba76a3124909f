"""`adapt=probe`: classical models on a frozen encoder, from training to predictions of the bundle."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import mammal
from mammal.bundle.folder import FORMAT, read_bundle
from mammal.cli import main
from mammal.errors import BundleError, ConfigError, MammalError, TaskError
from mammal.training.run import train

ENDS = ("N", "O", "F")
PROMPTS = {
    "probed_number": "kind: regression\nmode: encoder\nmetrics: [rmse, r2]\nprompt: "
    '{input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{length:scalar}"}',
    "probed_classes": 'kind: classification\nlabels: ["N", "O", "F"]\nclass_weights: balanced\nmetrics: [accuracy]\n'
    'prompt: {input: "<BBBP><SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {end:label}"}',
    "probed_columns": 'kind: classification\nlabels: ["no", "yes"]\nmetrics: [auroc]\n'
    'prompt: {input: "<TOX21> {smiles:smiles}", target: "<SENTINEL_ID_0> {long:label} <SENTINEL_ID_1> {polar:label}"}',
    "probed_bounds": "kind: regression\nmode: encoder\nmetrics: [rmse]\nprompt: "
    '{input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{bound:scalar}"}',
    "probed_protein": "kind: regression\nmode: encoder\nmetrics: [rmse]\nprompt: "
    '{input: "<MELTING_POINT><MASK> {protein:protein}", target: "{length:scalar}"}',
    "probed_text": 'kind: generation\nmetrics: [exact_match]\nprompt: {input: "<SENTINEL_ID_0> {smiles:smiles}", '
    'target: "<SENTINEL_ID_0> {smiles:smiles}"}',
}


def records() -> list[dict[str, str]]:
    """Chains of carbon with an end; some labels are missing, and some are bounds."""
    found = []
    for n in range(1, 25):
        for place, end in enumerate(ENDS):
            number = 3 * (n - 1) + place
            found.append({
                "smiles": "C" * n + end,
                "protein": "M" + "AG" * n,
                "length": str(n),
                "bound": ">1000" if number % 7 == 0 else str(n),
                "end": end,
                "long": "" if number % 5 == 0 else "yes" if n > 12 else "no",
                "polar": "" if number % 4 == 0 else "no" if end == "F" else "yes",
            })  # fmt: skip
    return found


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bundle):
    """Composes runs of `adapt=probe` over the tasks above: `probed("task=probed_number", …)`."""
    from mammal.configuration.compose import compose, parse_arguments

    data = tmp_path / "rows.csv"
    with data.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(records()[0]))
        writer.writeheader()
        writer.writerows(records())
    folder = tmp_path / "configs" / "task"
    folder.mkdir(parents=True)
    source = f"data: {{source: file, path: {data}, split: random, fractions: [0.6, 0.3, 0.1]}}\n"
    for name, text in PROMPTS.items():
        (folder / f"{name}.yaml").write_text(f"defaults: [schema, _self_]\nname: {name}\n{text}\n{source}")
    monkeypatch.setenv("MAMMAL_CONFIGS", str(folder.parent))
    words = [f"init={small_bundle()}", "adapt=probe", f"output={tmp_path / 'run'}", "trainer.accelerator=cpu"]

    def configuration(*more: str):
        return compose("train", parse_arguments("train", [*words, *more]))

    return configuration


def test_a_probe_predicts_numbers_and_the_bundle_explains_it(probed, tmp_path, capsys):
    result = train(probed("task=probed_number"))
    printed = capsys.readouterr().err
    assert "probed_number: " in printed and "rmse" in printed and "folds of 43 training rows" in printed
    assert result.steps == 0 and result.best_loss is None and result.valid["valid/probed_number/rmse"] < 4
    ours = next(c for c in result.results[0].contenders)
    assert ours.estimates["r2"].value > 0.6
    card = (result.bundle / "README.md").read_text()
    assert "states of the frozen encoder" in card and "folds of 43 training rows" in card
    config = json.loads((result.bundle / "config.json").read_text())["mammal"]
    assert config["format"] == 2 and config["adaptation"]["method"] == "probe"
    names = {file.name for file in result.bundle.iterdir()}
    assert "probes.safetensors" in names and not any(name.endswith((".pkl", ".pickle", ".joblib")) for name in names)
    model = mammal.load(result.bundle, device="cpu")
    said = model.predict(records()[::5])
    assert {"prediction", "low", "high"} <= set(said.columns)  # calibrated on the validation rows
    assert np.corrcoef(said["prediction"], [len(r["smiles"]) for r in records()[::5]])[0, 1] > 0.8
    assert (said["low"] < said["prediction"]).all()


def test_weights_of_the_encoder_stay_and_a_bundle_saved_again_predicts_the_same(probed, tmp_path):
    result = train(probed("task=probed_number", "test=false", "adapt.features=[descriptors,morgan]"))
    first = mammal.load(result.bundle, device="cpu")
    init = read_bundle(probed().init).model
    for name, weight in first.model.named_parameters():
        assert weight.equal(init.get_parameter(name))
    second = mammal.load(first.save(tmp_path / "again"), device="cpu")
    rows = records()[::7]
    assert first.predict(rows).equals(second.predict(rows))
    stored = [(folder / "probes.safetensors").read_bytes() for folder in (result.bundle, tmp_path / "again")]
    assert stored[0] == stored[1]


def test_a_run_is_repeatable_to_the_bit(probed, tmp_path):
    bundles = [train(probed("task=probed_number", "test=false", f"output={tmp_path / name}")).bundle for name in "ab"]
    assert len({(bundle / "probes.safetensors").read_bytes() for bundle in bundles}) == 1


def test_only_the_probe_is_saved_with_a_reference_to_the_encoder(probed, tmp_path):
    whole = train(probed("task=probed_number", "test=false")).bundle
    small = train(probed("task=probed_number", "test=false", "adapt.save=adapters", f"output={tmp_path / 'small'}"))
    assert not (small.bundle / "model.safetensors").exists()
    rows = records()[::5]
    answers = [mammal.load(bundle, device="cpu").predict(rows) for bundle in (whole, small.bundle)]
    assert answers[0].equals(answers[1])


def test_the_spread_of_an_ensemble_is_part_of_every_answer(probed, tmp_path):
    bundle = train(probed("task=probed_number", "adapt.ensemble=4", "adapt.probe=gp")).bundle
    assert json.loads((bundle / "config.json").read_text())["mammal"]["format"] == 3
    model, rows = mammal.load(bundle, device="cpu"), records()[::5]
    task = model.find_task(None)
    assert task.probes.members == 4 and "ensemble of 4, Gaussian process" in (bundle / "README.md").read_text()
    said = model.predict(rows)
    assert said.equals(mammal.load(model.save(tmp_path / "again"), device="cpu").predict(rows))
    one = mammal.load(train(probed("task=probed_number", f"output={tmp_path / 'one'}")).bundle, device="cpu")
    assert one.find_task(None).probes.members == 1
    assert np.corrcoef(said["prediction"], one.predict(rows)["prediction"])[0, 1] > 0.9


def test_classes_by_an_ensemble(probed):
    result = train(probed("task=probed_classes", "adapt.ensemble=3", "adapt.probe=svm"))
    said = mammal.load(result.bundle, device="cpu").predict(records()[:9], every_label=True)
    every = said[["probability_N", "probability_O", "probability_F"]].to_numpy()
    assert np.allclose(every.sum(axis=1), 1) and result.results[0].contenders[0].estimates["accuracy"].value > 0.6


@pytest.mark.parametrize("kind", ["linear", "svm"])
def test_three_classes(probed, kind):
    result = train(probed("task=probed_classes", f"adapt.probe={kind}"))
    assert result.results[0].contenders[0].estimates["accuracy"].value > 0.7
    said = mammal.load(result.bundle, device="cpu").predict(records()[:9], every_label=True)
    every = said[["probability_N", "probability_O", "probability_F"]].to_numpy()
    assert np.allclose(every.sum(axis=1), 1) and set(said["prediction"]) <= set(ENDS)


def test_each_target_column_has_a_probe_of_its_own_and_missing_labels_are_left_out(probed):
    result = train(probed("task=probed_columns", "test=false"))
    task = read_bundle(result.bundle).tasks["probed_columns"]
    assert set(task.probes.probes) == {"long", "polar"}
    for column, number in (("long", 5), ("polar", 4)):
        assert task.probes.choices[column].count < 43 and task.probes.choices[column].metric == "auroc", number
    said = mammal.load(result.bundle, device="cpu").predict([r for r in records() if len(r["smiles"]) in (4, 24)])
    assert said["long_probability"].iloc[:3].max() < said["long_probability"].iloc[-3:].min()


def test_bounds_teach_nothing(probed):
    result = train(probed("task=probed_bounds", "test=false"))
    said = mammal.load(result.bundle, device="cpu").predict(records())["prediction"]
    assert said.max() < 100


def test_answers_do_not_depend_on_the_other_rows(probed):
    bundle = train(probed("task=probed_number", "test=false", "adapt.features=[descriptors]")).bundle
    model, rows = mammal.load(bundle, device="cpu"), records()[::5]
    together = model.predict(rows)["prediction"].to_numpy()
    alone = [model.predict([row])["prediction"].iloc[0] for row in rows]
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-4)


def test_jobs_and_evaluation_read_the_bundle(probed, tmp_path, capsys):
    bundle = train(probed("task=probed_number", "test=false")).bundle
    capsys.readouterr()
    table = tmp_path / "rows.csv"
    assert main(["predict", f"bundle={bundle}", f"input={table}", f"output={tmp_path / 'answers.csv'}"]) == 0
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == len(records()) + 1
    assert (
        main(["evaluate", f"bundle={bundle}", f"output={tmp_path / 'judged'}", "trees=3", f"paths.data={tmp_path}"])
        == 0
    )
    printed = capsys.readouterr()
    assert "forest_morgan" in printed.out + printed.err or "random forest" in printed.out + printed.err
    assert main(["info", str(bundle)]) == 0
    assert "adapted     probe" in capsys.readouterr().out


def test_a_bad_row_is_set_aside_alone(probed):
    model = mammal.load(train(probed("task=probed_number", "test=false", "adapt.features=[morgan]")).bundle)
    said = model.predict(["CCO", "not a molecule", "CCN"])
    assert said["error"].notna().tolist() == [False, True, False]


def test_the_walk_through_a_task_shows_the_answer_of_a_probe(probed, tmp_path, capsys):
    bundle = train(probed("task=probed_number", "test=false")).bundle
    capsys.readouterr()
    assert main(["tasks", "probed_number", f"bundle={bundle}", f"paths.data={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "length: value" in printed and "\n  loss " not in printed


def test_training_goes_on_from_a_probe_with_heads_of_its_own(probed, tmp_path):
    start = train(probed("task=probed_number", "test=false")).bundle
    words = ("task=probed_classes", "adapt=full", "trainer.max_steps=2", "test=false", f"output={tmp_path / 'next'}")
    bundle = train(probed(*words, f"init={start}")).bundle
    assert not (bundle / "probes.safetensors").exists()
    assert json.loads((bundle / "config.json").read_text())["mammal"]["format"] == 1


def test_probes_that_cannot_work_are_refused_with_a_remedy(probed):
    def refused(error: type[MammalError], *words: str) -> str:
        with pytest.raises(error) as raised:
            train(probed(*words))
        return str(raised.value)

    assert "a probe of random weights" in refused(ConfigError, "task=probed_number", "init=null")
    assert "linear" in refused(ConfigError, "task=probed_number", "adapt.probe=liner")
    assert "adapt=full" in refused(TaskError, "task=probed_text")
    assert "descriptors" in refused(TaskError, "task=probed_number", "adapt.features=[descriptor]")
    assert "reads none (it reads protein)" in refused(TaskError, "task=probed_protein", "adapt.features=[morgan]")
    assert "adapt.probe=auto" in refused(ConfigError, "task=probed_classes", "adapt.probe=gp")
    assert "adapt=probe reads it" in refused(ConfigError, "task=probed_number", "adapt=full", "+adapt.probe=svm")
    assert "adapters" in refused(ConfigError, "task=probed_number", "adapt.save=published")
    assert "10" in refused(TaskError, "task=probed_number", "data.limit=9")
    assert "must be 1 to 50" in refused(ConfigError, "task=probed_number", "adapt.ensemble=0")


def test_damaged_and_newer_bundles_are_refused(probed, tmp_path):
    bundle = train(probed("task=probed_number", "test=false")).bundle
    lost = Path(shutil.copytree(bundle, tmp_path / "lost"))
    (lost / "probes.safetensors").unlink()
    with pytest.raises(TaskError, match=r"probes\.safetensors is missing"):
        mammal.load(lost, device="cpu").predict(["CCO"])
    newer = Path(shutil.copytree(bundle, tmp_path / "newer"))
    config = json.loads((newer / "config.json").read_text())
    config["mammal"]["format"] = FORMAT + 1
    (newer / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match="newer version"):
        mammal.load(newer)


def test_states_are_read_at_the_mask_and_over_the_content(small_bundle):
    from mammal.tasks import build_task, load_task
    from mammal.tasks.probes.task_probes import TaskProbes

    bundle = read_bundle(small_bundle())
    task = build_task(load_task("esol"), bundle.tokenizer)
    task.probes = TaskProbes(task)
    batch = task.collate([task.encode({"smiles": smiles}) for smiles in ("CCO", "c1ccccc1CCN")])
    with torch.inference_mode():
        vectors = task.probes.reader.vectors(bundle.model(batch), batch)
        hidden = bundle.model.encode(batch).hidden(batch.ids_BL.shape[1])
    for row, vector in enumerate(vectors):
        ids = batch.ids_BL[row].tolist()
        letters = [i for i, token in enumerate(ids) if token not in bundle.tokenizer.specials.values()]
        parts = [hidden[row, ids.index(bundle.tokenizer.mask_id)], hidden[row, letters].mean(dim=0)]
        assert torch.cat(parts).tolist() == pytest.approx(vector.tolist(), abs=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_fine_tuning_starts_from_a_fitted_head_and_keeps_it_if_training_makes_it_worse(
    probed, small_bundle, tmp_path, capsys, method
):
    init = small_bundle(scalars_prediction_head={"layers": [8]})
    words = ("task=probed_number", f"adapt={method}", "adapt.start=probe", f"init={init}", "test=false")
    result = train(probed(*words, "optim.lr=10.0", "schedule=constant", "trainer.max_steps=3"))
    printed = capsys.readouterr().err
    assert "scalar head from ridge regression on 43 labels" in printed
    assert "the weights before the first step are the best ones: valid/loss" in printed
    assert result.best_loss < 0.9 and result.valid["valid/probed_number/r2"] > 0.1
    model = mammal.load(result.bundle, device="cpu").model
    assert model.t5_model.shared.weight.equal(read_bundle(init).model.t5_model.shared.weight)
    assert read_bundle(result.bundle).config["mammal"]["adaptation"]["settings"]["start"] == "probe"
    more = (f"init={result.bundle}", "adapt=full", "optim.lr=0.0001", "trainer.max_steps=3")
    kept = train(probed(*words, *more, f"output={tmp_path / 'more'}"))
    assert "its scalar head is kept" in capsys.readouterr().err
    assert kept.best_loss < result.best_loss + 0.1


def test_weights_before_the_first_step_win_only_with_a_better_figure():
    from mammal.training.start import FirstWeights

    first = FirstWeights({}, {"valid/loss": 0.5, "valid/task/auroc": 0.8})
    assert first.beat("valid/loss", "min", 0.6) and not first.beat("valid/loss", "min", 0.5)
    assert first.beat("valid/task/auroc", "max", 0.7) and not first.beat("valid/task/auroc", "max", 0.9)
    assert not first.beat("valid/other", "min", 0.6)


def test_a_fitted_head_needs_a_model_and_numbers(probed):
    words = ("task=probed_number", "adapt=full", "adapt.start=probe")
    for more, printed in (
        (("init=null",), "random weights"),
        (("task=probed_classes",), "no task of this run is a regression"),
        (("adapt.start=prob",), "probe"),
    ):
        with pytest.raises(ConfigError, match=printed):
            train(probed(*words, *more))
