"""Shipped heads: made, installed, found by their task, used without `bundle=`; they say what they were fitted on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

import mammal
from mammal.bundle import locate as places
from mammal.bundle.heads import ENCODER, head_bundle, read_heads
from mammal.cli import main
from mammal.configuration.compose import compose, parse_arguments
from mammal.errors import BundleError, ConfigError, TaskError
from mammal.tasks.probes.task_probes import TaskProbes
from mammal.training import make_heads as making
from mammal.training.run import train

TASKS = {
    "head_length": "kind: regression\nmode: encoder\nunit: atoms\nmetrics: [rmse]\nabout: Number of carbons\nprompt: "
    '{input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{length:scalar}"}',
    "head_polar": 'kind: classification\nlabels: ["no", "yes"]\nmetrics: [auroc]\nabout: Has nitrogen\nprompt: '
    '{input: "<BBBP><SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {polar:label}"}',
}
EXAMPLES = {"head_length": "{smiles: CCN, length: '2'}", "head_polar": "{smiles: CCN, polar: 'yes'}"}
ENDS = ("N", "O", "F", "C1CCCCC1", "c1ccccc1N", "S")


def rows() -> list[dict[str, str]]:
    return [
        {"smiles": "C" * n + end, "length": str(n), "polar": "yes" if "N" in end else "no"}
        for n in range(1, 16)
        for end in ENDS
    ]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, small_bundle: Callable[..., Path]):
    """An installation with a small random encoder and two heads, made by `make_head`, for all tests of this module."""
    root, work = tmp_path_factory.mktemp("checkpoints"), tmp_path_factory.mktemp("work")
    shutil.copytree(small_bundle(), root / ENCODER)
    (root / making.LIST).write_text(yaml.safe_dump({"heads": dict.fromkeys(TASKS, "mit")}))
    data = work / "rows.csv"
    with data.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows()[0]))
        writer.writeheader()
        writer.writerows(rows())
    folder = work / "configs" / "task"
    folder.mkdir(parents=True)
    source = f"data: {{source: file, path: {data}, split: random, fractions: [0.5, 0.25, 0.25]}}"
    for name, text in TASKS.items():
        example = f"example: {EXAMPLES[name]}\nlicence: MIT\n"
        text = f"defaults: [schema, _self_]\nname: {name}\n{text}\n{source}\n{example}"
        (folder / f"{name}.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMAL_CONFIGS", str(folder.parent))
        patch.setenv("MAMMAL_DATA", str(work))
        for module in (places, making):
            patch.setattr(module, "checkpoints_folder", lambda: root)
        assert making.main(["trainer.accelerator=cpu", "adapt.max_bytes=250000"]) == 0
        yield root


@pytest.fixture
def molecules(tmp_path: Path) -> Path:
    file = tmp_path / "molecules.csv"
    file.write_text("smiles\n" + "\n".join(row["smiles"] for row in rows()[::7]) + "\n")
    return file


def test_a_head_is_small_and_names_its_encoder(installation: Path) -> None:
    assert sorted(path.name for path in (installation / "heads").iterdir()) == sorted(TASKS)
    for head in read_heads():
        assert head.size < 350_000 and head.rows == len(rows())
        assert {file.name for file in head.folder.iterdir()} == {
            *("README.md", "adapters.safetensors", "config.json", "metrics.json", "probes.safetensors", "task.yaml"),
            "training_rows.safetensors",
        }
        about = json.loads((head.folder / "config.json").read_text())["mammal"]
        assert about["adaptation"]["base"] == ENCODER and about["format"] == 4 and not about["learned_tensors"]
    assert making.outdated_heads() == []
    assert {file.stat().st_size < 12_000 for file in installation.glob("heads/*/task.yaml")} == {True}


def test_the_command_needs_no_bundle(installation: Path, molecules: Path, tmp_path: Path) -> None:
    one, both = tmp_path / "one.csv", tmp_path / "both.csv"
    assert main(["predict", "task=head_length", f"input={molecules}", f"output={one}", "device=cpu"]) == 0
    words = ["predict", "task=[head_length,head_polar]", f"input={molecules}", f"output={both}", "device=cpu"]
    assert main(words) == 0
    alone, together = (list(csv.DictReader(file.open())) for file in (one, both))
    assert {"prediction", "low", "high", "similarity", "percentile", "outside"} <= set(alone[0])
    assert {"head_length_low", "head_polar_probability", "head_polar_similarity"} <= set(together[0])
    assert [float(row["prediction"]) for row in alone] == pytest.approx(
        [float(row["head_length_prediction"]) for row in together], rel=1e-5
    )
    measured = [float(row["length"]) for row in rows()[::7]]
    assert np.corrcoef(measured, [float(row["prediction"]) for row in alone])[0, 1] > 0.9


def test_python_finds_a_head_by_its_name_and_several_share_one_encoder(installation: Path, tmp_path: Path) -> None:
    model = mammal.load("head_length+head_polar", device="cpu")
    assert list(model.tasks) == ["head_length", "head_polar"] and set(model.metrics) >= set(TASKS)
    said = model.predict(["CCN", "CCCCC"], list(TASKS))
    alone = mammal.load("head_polar", device="cpu").predict(["CCN", "CCCCC"])
    assert list(said["head_polar_prediction"]) == list(alone["prediction"])
    again = mammal.load(model.save(tmp_path / "whole"), device="cpu").predict(["CCN", "CCCCC"], list(TASKS))
    assert said.equals(again)
    with pytest.raises(BundleError, match="no shipped head 'head_polr'") as caught:
        mammal.load("head_length+head_polr")
    assert "head_polar" in str(caught.value)


def test_a_head_of_another_encoder_is_refused(installation: Path, tmp_path: Path) -> None:
    file = installation / "heads" / "head_polar" / "config.json"
    before = file.read_text()
    config = json.loads(before)
    config["mammal"]["adaptation"]["base_hash"] = "0" * 32
    file.write_text(json.dumps(config))
    try:
        assert making.outdated_heads() == ["head_polar"]
        with pytest.raises(BundleError, match="reads another encoder"):
            mammal.load("head_length+head_polar")
        with pytest.raises(BundleError, match="another base"):
            mammal.load("head_polar")
    finally:
        file.write_text(before)


def test_its_rows_are_no_test_rows_any_more(installation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "task=head_length", "baselines=false"]) == 2
    said = capsys.readouterr().err
    assert "fitted on all rows of head_length" in said and "input=FILE" in said
    own = [{"smiles": row["smiles"], "length": row["length"]} for row in rows()[-8:]]
    found = mammal.evaluate("head_length", data=own, baselines=False, sensitivity=0)
    assert found["head_length"].leakage == {"own": 8}


def test_the_card_says_whose_figures_these_are(installation: Path) -> None:
    card = (installation / "heads" / "head_length" / "README.md").read_text()
    for text in (
        "license: mit",
        "in atoms",
        "mammal predict task=head_length",
        f"fitted on all {len(rows())} rows",
        "before it was fitted on them",
        "split random",
        "Not for decisions about patients",
        "`outside`",
        "coverage",
        "only 90 rows",
    ):
        assert text in card, text


def test_heads_are_listed(installation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("head_length: Number of carbons; in atoms; 90 rows; rmse ")
    assert main(["info", "head_polar"]) == 0
    assert "that of the base" in capsys.readouterr().out
    table = making.heads_table(read_heads())
    assert len(table) == 4 and "`head_polar`" in table[3] and "| mit |" in table[3]


def test_unknown_heads_are_reported_with_a_remedy(installation: Path) -> None:
    assert head_bundle("demo", "anything", "predict") == "demo"
    assert head_bundle(None, ["head_polar", "head_length"], "predict") == "head_polar+head_length"
    with pytest.raises(ConfigError) as caught:
        head_bundle(None, "head_lenth", "predict")
    said = str(caught.value)
    assert "did you mean head_length" in said and "head_polar" in said and f"init={ENCODER} adapt=probe" in said
    with pytest.raises(ConfigError, match="a bundle or the task"):
        head_bundle(None, None, "serve")
    with pytest.raises(ConfigError, match="not in heads"):
        making.main(["head_lenth"])


def test_no_row_calibrates_a_model_that_saw_it(installation: Path) -> None:
    """Intervals of the rows that the model was fitted on are those of the folds: wider than its errors on them."""
    model = mammal.load("head_length", device="cpu")
    said = model.predict([{"smiles": row["smiles"]} for row in rows()])
    errors = np.abs(said["prediction"] - [float(row["length"]) for row in rows()])
    task = model.tasks["head_length"]
    assert task.conformal["length"].half_width > 1.5 * np.quantile(errors, 0.9)
    assert task.training_rows.kept.references == task.training_rows.kept.rows == len(rows())


def test_groups_of_rows_stay_in_one_fold(installation: Path) -> None:
    from mammal.rows.task_choice import changed_task
    from mammal.training.all_rows import folds_of_rows, row_groups

    task = mammal.load("head_length", device="cpu").tasks["head_length"]
    task = changed_task(task, {"data": {"split": "scaffold"}})
    table = [*rows(), rows()[0]]
    vectors = np.arange(len(table), dtype=np.float32)[:, None]
    vectors[-1] = vectors[0]  # an equal row
    groups = row_groups(task, table, vectors)
    rings = ["C1" in row["smiles"].upper() for row in table]
    assert groups[-1] == groups[0] and len(set(groups[rings])) == 2 and len(set(groups)) == 15 * 4 + 2
    for fit_on, asked in folds_of_rows(task, table, vectors):
        assert not set(groups[fit_on]) & set(groups[asked])
        assert len(fit_on) + len(asked) == len(table)


def test_sizes_and_settings_that_cannot_work_are_refused(installation: Path, tmp_path: Path) -> None:
    words = ["experiment=head", "task=head_length", f"output={tmp_path / 'run'}"]
    with pytest.raises(ConfigError, match=r"adapt\.rows is 'al'"):
        train(compose("train", parse_arguments("train", [*words, "adapt.rows=al"])))
    with pytest.raises(ConfigError, match=r"adapt\.features"):
        train(compose("train", parse_arguments("train", [*words, "adapt.features=morgan"])))
    task = mammal.load("head_length", device="cpu").tasks["head_length"]
    vectors = np.random.default_rng(0).normal(size=(len(rows()), 8)).astype(np.float32)
    columns = task.probe_columns(rows() + rows()[:1])
    with pytest.raises(TaskError, match="the smallest probe of head_length needs"):
        TaskProbes(task).fit(vectors, vectors[:1], columns, "auto", max_bytes=4_000)
    with pytest.raises(TaskError, match="may store 90 rows"):
        TaskProbes(task).fit(vectors, vectors[:1], columns, "gp", max_bytes=5_500)
    with pytest.raises(BundleError, match="bytes are allowed"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "MOST_BYTES", 10_000)
        making.install_head(installation / "heads" / "head_length", "head_length", [], "mit")
    assert (installation / "heads" / "head_length" / "README.md").is_file()
