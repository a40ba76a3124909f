"""Bundles: loading restores what was saved, no file is half written, and parts that don't fit are refused."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file

import mammal
from mammal.bundle.adaptation import adapted_from
from mammal.bundle.card import Card
from mammal.bundle.folder import read_bundle, save_bundle
from mammal.bundle.stored_tasks import write_tasks
from mammal.cli import main
from mammal.errors import BundleError, TaskError
from mammal.tasks import Task, TaskConfig, build_task, load_task
from mammal.tokenization import Tokenizer

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"]


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def test_a_bundle_explains_itself(tiny_bundle: Path) -> None:
    names = {path.name for path in tiny_bundle.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer", "task.yaml", "metrics.json", "README.md"}
    config = json.loads((tiny_bundle / "config.json").read_text())
    assert "t5_config" in config and config["mammal"]["format"] == 1


def test_saved_again_it_predicts_the_same_bits(tiny_bundle: Path, tmp_path: Path) -> None:
    first = mammal.load(tiny_bundle)
    second = mammal.load(first.save(tmp_path / "again"))
    for task in ("bbbp", "melting_point"):
        answers = [model.predict(MOLECULES, task=task) for model in (first, second)]
        assert answers[0].equals(answers[1])
    assert second.metrics == first.metrics
    weights = [load_file(folder / "model.safetensors") for folder in (tiny_bundle, tmp_path / "again")]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


def test_fitted_scale_travels_with_the_bundle(tiny_bundle: Path) -> None:
    scale = read_bundle(tiny_bundle).tasks["melting_point"].state()["scales"]["tm"]
    assert scale == {"mean": 200.0, "std": 50.0}


def test_bfloat16_storage_halves_the_file_and_hardly_moves_answers(tiny_bundle: Path, tmp_path: Path) -> None:
    exact = mammal.load(tiny_bundle)
    small = exact.save(tmp_path / "small", dtype="bfloat16")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tiny_bundle, small)]
    assert sizes[1] < 0.6 * sizes[0]
    modes = [(folder / "model.safetensors").stat().st_mode for folder in (tiny_bundle, small)]
    assert modes[0] == modes[1] == (small / "config.json").stat().st_mode
    given = [model.predict(MOLECULES, task="bbbp").probability for model in (exact, mammal.load(small))]
    np.testing.assert_allclose(given[0], given[1], atol=0.02)


def test_adapters_bring_the_weights_of_features_that_their_base_does_not_know(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(tiny_bundle)
    bundle.model.add_external_embeddings({"morgan": 4})
    for name, weight in bundle.model.named_parameters():
        weight.requires_grad_(name.startswith("project_external_embeddings."))
    made = adapted_from(tiny_bundle, tmp_path / "adapters", "head")
    save_bundle(tmp_path / "adapters", bundle.model, bundle.tokenizer, adaptation=made, delta=True)
    loaded = read_bundle(tmp_path / "adapters").model
    for name, weight in bundle.model.named_parameters():
        assert loaded.get_parameter(name).equal(weight)


def test_an_adapter_bundle_that_lost_a_tensor_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle, folder = read_bundle(tiny_bundle), tmp_path / "adapters"
    bundle.model.add_external_embeddings({"morgan": 4})
    for name, weight in bundle.model.named_parameters():
        weight.requires_grad_(name.startswith(("project_external_embeddings.", "encoder_head.")))
    made = adapted_from(tiny_bundle, folder, "head")
    save_bundle(folder, bundle.model, bundle.tokenizer, adaptation=made, delta=True)
    stored, config = load_file(folder / "adapters.safetensors"), json.loads((folder / "config.json").read_text())
    assert config["mammal"]["learned_tensors"] == sorted(stored)
    lost = next(name for name in stored if name.startswith("encoder_head."))
    save_file({name: tensor for name, tensor in stored.items() if name != lost}, folder / "adapters.safetensors")
    with pytest.raises(BundleError, match=f"lacks 1 of the {len(stored)} trained tensors.* such as {lost}"):
        read_bundle(folder)
    del config["mammal"]["learned_tensors"]
    (folder / "config.json").write_text(json.dumps(config))
    assert read_bundle(folder), "bundles that did not record the names load as they did"


@pytest.mark.parametrize("part", ["config.json", "model.safetensors", "tokenizer"])
def test_a_missing_part_is_named(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part) if (copy / part).is_dir() else (copy / part).unlink()
    with pytest.raises(BundleError, match=part):
        mammal.load(copy)


def test_another_tokenizer_is_refused(copy: Path) -> None:
    from mammal.tokenization import Tokenizer

    other = Tokenizer.load(copy / "tokenizer")
    other.add_special_tokens(["<NEWCOMER>"])
    shutil.rmtree(copy / "tokenizer")
    other.save(copy / "tokenizer")
    with pytest.raises(BundleError, match="tokenizer is not the one"):
        mammal.load(copy)


def test_a_tokenizer_with_more_ids_than_the_model_has_rows_is_refused(shared: Path, tiny_bundle: Path) -> None:
    fixtures = shared / "compat" / "fixtures"
    with pytest.raises(BundleError, match="rows"):
        mammal.load(fixtures / "checkpoints" / "gated", tokenizer=fixtures / "tokenizer_base" / "tokenizer")


@pytest.mark.parametrize(
    ("part", "content"),
    [("task.yaml", "tasks: 3"), ("task.yaml", "a: [b"), ("metrics.json", "{"), ("config.json", "[]")],
)
def test_a_damaged_part_is_an_error_of_ours(copy: Path, part: str, content: str) -> None:
    (copy / part).write_text(content)
    with pytest.raises(BundleError):
        mammal.load(copy)


def test_truncated_weights_are_an_error_of_ours(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(BundleError):
        mammal.load(copy)


def test_a_bundle_of_a_newer_format_is_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["mammal"] |= {"format": 99, "version": "9.0"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match="newer version"):
        mammal.load(copy)


def test_a_save_that_fails_leaves_the_former_bundle_whole(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mammal.load(copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(model.tokenizer), "save", full)
    with pytest.raises(BundleError, match="No space left"):
        model.save(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_bundle_is_replaced_but_nothing_else_is(copy: Path, tmp_path: Path) -> None:
    model = mammal.load(copy)
    (copy / "leftover.txt").write_text("of the former bundle")
    model.save(copy, metrics={"seed": 1})
    assert mammal.load(copy).metrics == {"seed": 1} and not (copy / "leftover.txt").exists()
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.tex").write_text("…")
    with pytest.raises(BundleError, match="not a bundle"):
        model.save(thesis)
    assert (thesis / "chapter1.tex").exists()


def test_the_card_says_what_people_need(tiny_bundle: Path, tmp_path: Path) -> None:
    model = mammal.load(tiny_bundle)
    card = Card(
        name="Barrier", licence="Apache-2.0", data={"BBBP": "MoleculeNet, MIT"}, command="mammal train task=bbbp"
    )
    text = (model.save(tmp_path / "carded", card=card) / "README.md").read_text()
    for expected in (
        "license: apache-2.0",
        "# Barrier",
        "`smiles`",
        "| MAMMAL | 0.71 (0.6 to 0.8) |",
        "MoleculeNet, MIT",
    ):
        assert expected in text
    for heading in ("## Use", "## Tasks", "## Figures", "## Data", "## Intended use", "## Limits"):
        assert heading in text


def test_info_shows_where_a_bundle_comes_from(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = read_bundle(tiny_bundle)
    rows = {"train": 1200, "valid": 40, "test": 0}
    data = {"bbbp": {"rows": rows, "split": "scaffold", "split_hash": "ab" * 32, "content": "cd" * 32}}
    made = adapted_from(tiny_bundle, tmp_path / "tuned", "full")
    tasks = [bundle.tasks["bbbp"]]
    save_bundle(tmp_path / "tuned", bundle.model, bundle.tokenizer, tasks, adaptation=made, data=data)
    again = mammal.load(mammal.load(tmp_path / "tuned").save(tmp_path / "again"))
    assert again.config["mammal"]["data"] == data
    for folder in ("tuned", "again"):
        assert main(["info", str(tmp_path / folder)]) == 0
        shown = capsys.readouterr().out
        assert "data      moleculenet bbbp; 1,200 train, 40 valid rows; split scaffold; task version " in shown
        assert "hashes    split abababababababab, rows cdcdcdcdcdcdcdcd\n" in shown
        assert f"base        its weights have hash {made.base_hash}\n" in shown
        assert re.search(r"^adapted     full from (\.\./)+.*tiny$", shown, flags=re.MULTILINE)


def test_info_says_which_tokens_have_labels(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = Tokenizer.load(copy / "tokenizer")
    write_tasks(copy / "task.yaml", [build_task(load_task("cdr_h3_residues"), tokenizer)], 1)
    assert main(["info", str(copy)]) == 0
    assert re.search(r"answers   labels A, C, .*, Y; one for each X\n", capsys.readouterr().out)


def test_info_of_an_earlier_bundle_shows_the_split_of_its_figures(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"bbbp": {"test": {"split": "scaffold", "split_hash": "ef" * 32, "MAMMAL": {"auroc": 0.7}}}, "seed": 1}
    (copy / "metrics.json").write_text(json.dumps(figures))
    assert main(["info", str(copy)]) == 0
    shown = capsys.readouterr().out
    version = read_bundle(copy).tasks["bbbp"].config.version
    lines = f"data      moleculenet bbbp; split scaffold; task version {version}\n  hashes    split efefefefefefefef\n"
    assert lines in shown
    assert shown.count("  data ") == 1, "the other tasks have no record"


def test_paths_of_the_training_machine_stay_out_of_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    from mammal.tasks import build_task, load_task

    bundle = read_bundle(tiny_bundle)
    local = load_task("bbbp", {"data": {"source": "file", "path": "/home/me/secret/bbbp.csv"}})
    folder = save_bundle(tmp_path / "local", bundle.model, bundle.tokenizer, [build_task(local, bundle.tokenizer)])
    assert "/home/me" not in (folder / "task.yaml").read_text()


def test_places_that_hold_no_model(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "runs" / "mine" / "bundle")
    with pytest.raises(BundleError, match="it contains these bundles: mine/bundle"):
        mammal.load(tmp_path / "runs")
    with pytest.raises(BundleError, match="it contains these bundles: tiny"):
        mammal.load(tiny_bundle.parent)
    with pytest.raises(BundleError, match="no such folder"):
        mammal.load(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="can't be reached"):
        mammal.load("owner/model-that-is-not-cached")
    (tmp_path / "table.csv").write_text("smiles\n")
    with pytest.raises(BundleError, match="is a file"):
        mammal.load(tmp_path / "table.csv")


def test_published_folders_and_checkpoints_load_as_they_are(shared: Path) -> None:
    folder = shared / "compat" / "fixtures" / "checkpoints" / "finetune_dir"
    with pytest.raises(BundleError, match=r"best_epoch\.ckpt"):
        mammal.load(folder)
    from_checkpoint = mammal.load(folder / "best_epoch.ckpt")
    from_folder = mammal.load(folder.parent / "gated", tokenizer=folder / "tokenizer")
    vectors = [model.embed(MOLECULES, entity="smiles") for model in (from_checkpoint, from_folder)]
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_tasks_of_a_bundle_are_built_when_they_are_used(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    built: list[str] = []

    def counted(config: TaskConfig, tokenizer: Tokenizer) -> Task:
        built.append(config.name)
        return build_task(config, tokenizer)

    monkeypatch.setattr("mammal.tasks.kinds.build.build_task", counted)
    model = mammal.load(tiny_bundle)
    assert [*model.tasks] == ["bbbp", "melting_point", "molecules"] and "molecules" in model.tasks
    assert "bbbp, melting_point, molecules" in repr(model) and not built
    assert model.find_task("molecules") is model.tasks["molecules"] is model.find_task("molecules")
    assert built == ["molecules"]
    assert {**model.tasks}.keys() == dict(model.tasks.items()).keys() == set(built), "all of them, once"
    assert len(built) == 3


def test_tasks_of_a_bundle_can_be_copied_sent_to_processes_and_compared(tiny_bundle: Path):
    tasks = read_bundle(tiny_bundle).tasks
    sent = pickle.loads(pickle.dumps(tasks))
    assert sent["melting_point"].state() == tasks["melting_point"].state()
    copied = tasks.copy()
    del copied["bbbp"]
    assert [*copied] == ["melting_point", "molecules"] and len(tasks) == 3
    assert copied["melting_point"] is tasks["melting_point"]
    assert tasks == dict(tasks) == tasks.copy() and tasks != copied


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("config", "kind"), "clasification", "classification"),
        (("config", "prompt", "input"), "{smiles:smils}", "smiles"),
        (("state",), None, "fitted is damaged"),
    ],
)
def test_a_broken_task_is_named_when_it_is_used_and_the_others_work(
    tiny_bundle: Path, tmp_path: Path, place: tuple[str, ...], value: object, reason: str
):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_bundle, folder)
    content = yaml.safe_load((folder / "task.yaml").read_text())
    *path, key = place
    holder = content["tasks"]["bbbp"]
    for name in path:
        holder = holder[name]
    holder[key] = value
    (folder / "task.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    model = mammal.load(folder)
    assert model.predict(["CCO"], "melting_point").error.isna().all()
    with pytest.raises(TaskError, match=f"task.yaml: the task bbbp can't be used: .*{reason}"):
        model.predict(["CCO"], "bbbp")
    with pytest.raises(TaskError, match="the task bbbp can't be used"):
        model.save(tmp_path / "copy")
