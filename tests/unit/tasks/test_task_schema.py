from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mammal.tasks.declaration.registry import list_tasks, load_task
from mammal.tasks.declaration.schema import KINDS
from mammal.tasks.errors import TaskError

GOOD = {
    "name": "t",
    "kind": "regression",
    "mode": "encoder",
    "prompt": {"input": "<MASK> {smiles:smiles}", "target": "{y:scalar}"},
}


def test_defaults_of_a_minimal_declaration():
    config = load_task(GOOD)
    assert (config.data.source, config.data.split, config.data.fractions) == ("file", "random", [0.8, 0.1, 0.1])
    assert config.standardise == "normalised" and config.scale.mean is None


@pytest.mark.parametrize(
    ("key", "path", "suggestion"),
    [
        ({"metrcs": ["rmse"]}, "'metrcs'", "metrics"),
        ({"data": {"splt": "random"}}, "'data.splt'", "split"),
        ({"prompt": {**GOOD["prompt"], "inptu": "x"}}, "'prompt.inptu'", "input"),
        ({"generation": {"max_new_token": 3}}, "'generation.max_new_token'", "max_new_tokens"),
    ],
)
def test_a_misspelt_key_is_named_by_its_path_with_the_nearest_name(key: dict, path: str, suggestion: str):
    with pytest.raises(TaskError) as caught:
        load_task({**GOOD, **key})
    assert path in str(caught.value) and suggestion in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "regresion"}, "regression"),
        ({"standardise": "canonicl"}, "canonical"),
        ({"data": {"source": "moleculnet"}}, "moleculenet"),
        ({"loss": "huber"}, "mse"),
        ({"scale": {"mean": "warm"}}, "scale.mean"),
        ({"scale": {"std": 0}}, "positive"),
        ({"data": {"fractions": [0.5, 0.5, 0.5]}}, "fractions"),
        ({"prompt": {"input": "x"}}, "prompt.target"),
        ({"name": ""}, "name"),
        ({"prompt": "x"}, "must be a mapping"),
        ({"kind": "generation"}, "mode decoder"),
    ],
)
def test_a_wrong_value_says_what_is_right(change: dict, message: str):
    with pytest.raises(TaskError, match=message):
        load_task({**GOOD, **change})


@pytest.mark.parametrize(
    "labels", [{"labels": []}, {"labels": ["a"]}, {"labels": ["a", "a"]}, {"labels": ["a", "b"], "codes": ["1"]}]
)
def test_labels_that_cannot_work_are_refused(labels: dict):
    with pytest.raises(TaskError):
        load_task({**GOOD, "kind": "classification", **labels})


def test_labels_written_as_numbers_are_text():
    config = load_task({**GOOD, "kind": "classification", "labels": [0, 1]})
    assert config.labels == ["0", "1"]


def test_overrides_are_laid_over_a_named_task():
    config = load_task("dti_bindingdb_pkd", {"standardise": "off", "data": {"path": "x.csv"}})
    assert config.standardise == "off" and config.data.path == "x.csv"
    assert config.scale.mean == pytest.approx(5.79384684128215)


def test_presets_come_before_the_task_itself():
    config = load_task("bbbp")
    assert config.kind == "classification" and config.metrics == ["auroc", "auprc", "mcc"]


def test_an_unknown_task_suggests_a_name():
    with pytest.raises(TaskError, match="did you mean bbbp"):
        load_task("bbpb")


def test_users_add_tasks_through_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "task").mkdir()
    file = tmp_path / "task" / "mine.yaml"
    prompt = '{input: "<MASK> {s:smiles}", target: "{y:scalar}"}'
    file.write_text(f"defaults: [schema, _regression, _self_]\nname: mine\nprompt: {prompt}\n")
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path))
    assert list_tasks()["mine"] == file
    assert load_task("mine").metrics[0] == "rmse"
    assert load_task(str(file)).name == "mine"


def test_a_misspelt_key_of_a_file_is_named_by_file_and_line(tmp_path: Path):
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\ndata:\n  source: file\n  splitt: random\n")
    with pytest.raises(TaskError) as caught:
        load_task(str(file))
    assert f"{file}:4" in str(caught.value) and "split" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- a\n", "holds a mapping"),
        ("defaults: [_clasification]\nname: x\n", "_classification"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, message: str):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(TaskError, match=message):
        load_task(str(file))


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path):
    with pytest.raises(TaskError, match="no such task file"):
        load_task(str(tmp_path / "none.yaml"))


def test_every_shipped_task_loads_and_says_what_it_is():
    for name in list_tasks():
        config = load_task(name)
        assert config.name == name
        assert config.kind in KINDS and config.about and config.example and config.version >= 1
        assert config.citation, f"{name} does not say where it comes from"


def test_hydra_composes_what_the_light_loader_reads():
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from mammal.tasks.declaration.schema import register_schema

    register_schema()
    with initialize_config_module("mammal.configs", version_base="1.3"):
        for name in list(list_tasks())[::4]:  # Hydra takes a tenth of a second for each
            composed = compose(overrides=[f"+task={name}"])
            assert load_task(OmegaConf.to_container(composed.task, resolve=True)) == load_task(name), name


def test_listing_tasks_needs_neither_torch_nor_rdkit():
    import subprocess

    code = (
        "import sys; from mammal.tasks import list_tasks, load_task; load_task('bbbp');"
        "print(sorted({'torch', 'rdkit', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
