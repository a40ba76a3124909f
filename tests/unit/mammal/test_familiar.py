"""Names and habits of other libraries: taken for ours where they mean the same, else refused with ours."""

from __future__ import annotations

import inspect
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mammal
from mammal.cli import main
from mammal.errors import BundleError, ConfigError, DataError, TaskError
from mammal.jobs import run_job
from mammal.tasks import load_task
from mammal.tasks.tables.readers import read_table


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle)


@pytest.mark.parametrize("name", ["Melting Point", "melting-point", "MELTING_POINT", " melting point ", "MeltingPoint"])
def test_a_tasks_name_may_be_written_otherwise(model: mammal.Mammal, name: str):
    assert model.find_task(name) is model.tasks["melting_point"]
    assert load_task(name).name == "melting_point"
    assert load_task("Dti-BindingDB pKd").name == "dti_bindingdb_pkd"


def test_training_finds_a_task_that_is_written_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "my_assay.yaml").write_text(
        "defaults: [schema, _regression, _self_]\nname: my_assay\nprompt: {input: '<MASK> {smiles:smiles}', "
        "target: '{y:scalar}'}\nunit: null\nversion: 1\n"
    )
    assert main(["train", "--config-dir", str(tmp_path), "task=My Assay", "--cfg"]) == 0
    assert "name: my_assay" in capsys.readouterr().out


def test_a_name_that_several_tasks_can_mean_is_refused(tmp_path: Path):
    for name in ("my_task", "my-task"):
        (tmp_path / "task").mkdir(exist_ok=True)
        (tmp_path / "task" / f"{name}.yaml").write_text("name: x\n")
    with pytest.raises(TaskError, match="unknown task 'My Task'"):
        load_task("My Task", config_dirs=[tmp_path])


def test_the_folder_of_a_run_opens_its_bundle(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "runs" / "mine"
    shutil.copytree(tiny_bundle, run / "bundle")
    assert mammal.load(run).task_names == ["bbbp", "melting_point", "molecules"]
    (tmp_path / "in.csv").write_text("smiles\nCCO\n")
    assert main(["predict", f"bundle={run}", "task=bbbp", f"input={tmp_path}/in.csv"]) == 0
    assert "CCO" in capsys.readouterr().out
    with pytest.raises(BundleError, match=r"did you mean mine\?") as refused:
        mammal.load(tmp_path / "runs" / "mime")
    assert "valid" not in str(refused.value)


def test_a_missing_file_suggests_likely_names_only(tmp_path: Path):
    for name in ("molecules.csv", "molecule.csv.manifest.json", "notes.txt", "weights.bin"):
        (tmp_path / name).write_text("smiles\n")
    with pytest.raises(DataError, match=r"did you mean molecules.csv\?\)$"):
        read_table(tmp_path / "molecule.csv")
    with pytest.raises(DataError) as refused:
        read_table(tmp_path / "library.csv")
    assert refused.value.hint is None
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    with pytest.raises(TaskError, match=r"did you mean mine.yaml\?"):
        load_task(str(tmp_path / "mines.yaml"))


def test_a_model_is_opened_and_saved_as_with_transformers(tiny_bundle: Path, tmp_path: Path):
    model = mammal.Mammal.from_pretrained(tiny_bundle, task="bbbp", device="cpu")
    assert model.to("cpu") is model and model.to(torch.device("cpu")).device.type == "cpu"
    with pytest.raises(ConfigError, match="no device is called"):
        model.to("gpu")
    saved = model.save_pretrained(tmp_path / "copy")
    again = mammal.Mammal.from_pretrained(saved, task="bbbp")
    assert again.predict(["CCO"])["probability"][0] == pytest.approx(model.predict(["CCO"])["probability"][0])


def test_arguments_of_transformers_are_ours_where_they_mean_the_same(tiny_bundle: Path):
    how = {"torch_dtype": torch.bfloat16, "device_map": "cpu"}
    assert mammal.Mammal.from_pretrained(tiny_bundle, **how).model.dtype == torch.bfloat16
    assert mammal.load(tiny_bundle, **how).model.dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="dtype is given twice, also as torch_dtype"):
        mammal.load(tiny_bundle, dtype="float32", torch_dtype="bfloat16")
    with pytest.raises(ConfigError, match="'trust_remote_code'"):
        mammal.load(tiny_bundle, trust_remote_code=True)


@pytest.mark.parametrize(
    ("method", "name", "ours"),
    [
        ("predict", "batch_size", "model.pace"),
        ("embed", "batch_size", "model.pace"),
        ("score", "device", "mammal.load"),
        ("embed", "normalize_embeddings", "normalize="),
        ("predict", "colums", "columns"),
        ("predict_proba", "n_jobs", "not needed"),
    ],
)
def test_arguments_of_other_libraries_are_refused_with_ours(model: mammal.Mammal, method: str, name: str, ours: str):
    with pytest.raises(ConfigError, match=f"no argument '{name}'") as refused:
        getattr(model, method)(["CCO"], task="bbbp", **{name: 8})
    assert ours in (refused.value.hint or "")


def test_a_model_describes_itself(model: mammal.Mammal):
    facts = model.info()
    assert facts["parameters"] == sum(p.numel() for p in model.model.parameters())
    assert (facts["dtype"], facts["device"]) == ("float32", "cpu")
    assert list(facts["tasks"]) == model.task_names
    assert facts["tasks"]["bbbp"]["columns"] == ["smiles"] and facts["tasks"]["bbbp"]["kind"] == "classification"
    assert facts["tasks"]["melting_point"]["targets"] == ["tm"]


def test_probabilities_as_scikit_learn_gives_them(model: mammal.Mammal, small_bundle: Callable[..., Path]):
    found = model.predict_proba(["CCO", "no molecule", "CCCC"], "bbbp")
    answered = model.predict(["CCO", "no molecule", "CCCC"], "bbbp")
    assert found.shape == (3, 2) and found.dtype == np.float64
    np.testing.assert_allclose(found[:, 1], answered["probability"].to_numpy(float), rtol=1e-6)
    np.testing.assert_allclose(found[[0, 2]].sum(1), 1)
    assert np.isnan(found[1]).all()
    with pytest.raises(TaskError, match="use predict"):
        model.predict_proba(["CCO"], "melting_point")
    several = mammal.load(small_bundle("scop_class"))
    assert several.predict_proba(["MKVLA"]).shape == (1, len(several.task.config.labels))


def test_vectors_of_length_one_and_in_a_frame(model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path):
    plain = model.embed(["CCO", "CCCC"], "bbbp")
    unit = model.embed(["CCO", "CCCC", "no molecule"], "bbbp", normalize=True)
    assert abs(np.linalg.norm(plain, axis=1) - 1).min() > 0.01
    np.testing.assert_allclose(np.linalg.norm(unit[:2], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit[:2] * np.linalg.norm(plain, axis=1)[:, None], plain, rtol=1e-4, atol=1e-6)
    assert np.isnan(unit[2]).all() and unit.dtype == np.float32
    frame = model.embed(pd.DataFrame({"smiles": ["CCO"]}, index=["a"]), "bbbp", as_frame=True)
    assert list(frame.index) == ["a"] and frame.shape == (1, plain.shape[1])
    with pytest.raises(ConfigError, match="as_frame"):
        model.embed(["CCO"], "bbbp", as_frame=True, pooling="none")
    (tmp_path / "in.csv").write_text("smiles\nCCO\nCCCC\n")
    words = [f"bundle={tiny_bundle}", "task=bbbp", f"input={tmp_path}/in.csv", f"output={tmp_path}/v.parquet"]
    assert main(["embed", *words, "normalize=true"]) == 0
    written = np.stack(pd.read_parquet(tmp_path / "v.parquet")["embedding"].tolist())
    np.testing.assert_allclose(written, unit[:2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["num_return_sequences", "num_samples"])
def test_the_number_of_sequences_under_other_names(
    name: str, model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    how = {"task": "molecules", "max_new_tokens": 12, "seed": 3}
    right = model.generate(n=3, **how)["text"].tolist()
    assert model.generate(**{name: 3}, **how)["text"].tolist() == right
    with pytest.raises(ConfigError, match="n is given twice"):
        model.generate(n=2, **{name: 3}, **how)
    options = {name: 3, "max_new_tokens": 12, "seed": 3}
    run_job("generate", tiny_bundle, None, tmp_path / "o.csv", task="molecules", options=options)
    assert pd.read_csv(tmp_path / "o.csv")["text"].tolist() == right
    words = [f"bundle={tiny_bundle}", "task=molecules", f"{name}=3", "max_new_tokens=12", "seed=3"]
    assert main(["generate", *words]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in right)


def test_a_temperature_of_zero_is_greedy_search(model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path):
    how = {"task": "molecules", "max_new_tokens": 12}
    right = model.generate(do_sample=False, **how)
    for zero in (0, 0.0, np.float32(0)):
        made = model.generate(temperature=zero, **how)
        assert made["text"].tolist() == right["text"].tolist() and list(made.columns) == list(right.columns)
    beams = {"num_beams": 3, "n": 3}
    assert (
        model.generate(temperature=0, **beams, **how)["text"].tolist()
        == model.generate(**beams, **how)["text"].tolist()
    )
    with pytest.raises(ConfigError, match="num_beams=4"):
        model.generate(temperature=0, n=4, **how)
    with pytest.raises(ConfigError, match="do_sample is true"):
        model.generate(temperature=0, do_sample=True, **how)
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        model.generate(temperature=-1, **how)
    options = {"temperature": 0, "max_new_tokens": 12}
    run_job("generate", tiny_bundle, None, tmp_path / "o.csv", task="molecules", options=options)
    assert pd.read_csv(tmp_path / "o.csv")["text"].tolist() == right["text"].tolist()


@pytest.mark.parametrize(
    ("name", "ours"), [("max_length", "max_new_tokens"), ("batch_size", "batch_tokens"), ("random_state", "seed")]
)
def test_other_meanings_are_refused_with_our_name(
    name: str, ours: str, model: mammal.Mammal, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(ConfigError, match=f"use {ours}="):
        model.generate(task="molecules", **{name: 8})
    assert main(["generate", f"bundle={tiny_bundle}", "task=molecules", f"{name}=8"]) == 2
    assert f"use {ours}=" in capsys.readouterr().err


def test_settings_of_a_job_without_normalize_stay_as_they_were(tiny_bundle: Path, tmp_path: Path, caplog):
    (tmp_path / "in.csv").write_text("smiles\nCCO\n")
    files = (tiny_bundle, tmp_path / "in.csv", tmp_path / "v.parquet")
    run_job("embed", *files, task="bbbp")
    with caplog.at_level(logging.INFO):
        report = run_job("embed", *files, task="bbbp", options={"normalize": False})
    assert report.ok == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("batch_size", "model.pace"),
        ("max_length", "max_len"),
        ("device", "model.to"),
        ("normalize_embeddings", "use normalize="),
        ("colums", "did you mean columns"),
        ("xyz", ""),
    ],
)
def test_arguments_of_other_libraries_are_answered_with_ours(model: mammal.Mammal, name: str, hint: str):
    for method in (model.predict, model.embed, model.score, model.predict_proba, model.score_variants):
        with pytest.raises(ConfigError, match=f"{method.__name__} has no argument '{name}'") as refused:
            method(["CCO"], **{name: 8})
        assert hint in (refused.value.hint or "")
    assert "columns" in inspect.signature(model.predict).parameters
