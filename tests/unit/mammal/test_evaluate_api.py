"""`mammal.evaluate`: the same figures as the command, for a loaded model or a bundle, also on the user's rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, MammalError, TaskError
from mammal.evaluation.evaluate_bundle import EvaluatedRows
from mammal.evaluation.results import FILE, OURS, as_metrics, load_results
from mammal.evaluation.runs import evaluate_runs
from mammal.evaluation.tables import CSV
from mammal.rows.task_choice import changed_task

SMILES = [f"C{'C' * (n % 9)}{tail}" for n in range(24) for tail in ("O", "N", "C(=O)O", "c1ccccc1")]
HOW: dict[str, Any] = {"trees": 5, "seeds": 2, "sensitivity": 4}
QUICK: dict[str, Any] = {"baselines": False, "sensitivity": 0, "neighbours": False}
PROMPT = {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"}
KIND = {
    "name": "acid",
    "kind": "classification",
    "data": {"source": "file", "path": "rows.csv", "split": "random", "columns": {"y": "acidic"}},
    "prompt": PROMPT,
    "labels": ["0", "1"],
    "metrics": ["auroc", "accuracy"],
}
NUMBER = {
    "name": "atoms",
    "kind": "regression",
    "data": {"source": "file", "path": "rows.csv", "split": "random"},
    "mode": "encoder",
    "prompt": {"input": "<MELTING_POINT><MASK> {smiles:smiles}", "target": "{size:scalar}"},
    "metrics": ["rmse"],
}


@pytest.fixture
def bundle(small_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with random weights and the tasks `acid` and `atoms`; their rows lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mammal.evaluation.evaluate_task.BOOTSTRAP_SAMPLES", 40)
    monkeypatch.setattr("mammal.tasks.baselines.boosting.MOST_TREES", 25)
    rows = pd.DataFrame({"smiles": SMILES, "acidic": ["1" if "=O" in s else "0" for s in SMILES]})
    rows["size"] = [float(sum(c in "CNOc" for c in s)) for s in SMILES]
    rows.to_csv("rows.csv", index=False)
    model = mammal.load(small_bundle(scalars_prediction_head={"layers": []}), device="cpu")
    for declared in (KIND, NUMBER):
        task = model.find_task(declared)
        task.fit(rows.to_dict("records"))
        model.tasks[task.name] = task
    return model.save(tmp_path / "run" / "bundle", metrics={})


def own_rows() -> pd.DataFrame:
    """Molecules that the bundle's tasks do not have, and one that they have."""
    smiles = ["CC(C)CO", "CC(C)CN", "CC(C)C(=O)O", "CC(C)CC(=O)O", "CCN(C)C", "CCCO"]
    return pd.DataFrame({"smiles": smiles, "acidic": [0, 0, 1, 1, 0, 0], "size": [5.0, 5.0, 6.0, 7.0, 5.0, 4.0]})


def same(first: Any, second: Any) -> bool:
    """Equal figures; a NaN equals a NaN."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second or (isinstance(first, float) and np.isnan(first) and np.isnan(second))


def test_figures_are_those_of_the_command(bundle: Path):
    words = [f"{key}={value}" for key, value in HOW.items()]
    assert main(["evaluate", f"bundle={bundle}", "output=by_command", "device=cpu", *words]) == 0
    written = load_results(Path("by_command"))
    assert [result.task for result in written] == ["acid", "atoms"]
    before = sorted(Path().rglob("*"))
    from_path = mammal.evaluate(bundle, device="cpu", **HOW)
    in_memory = mammal.evaluate(mammal.load(bundle, device="cpu"), ["acid", "atoms"], **HOW)
    assert sorted(Path().rglob("*")) == before, "nothing is written without an output"
    for found in (from_path, in_memory):
        assert same(found.figures, as_metrics(written))
        assert {"mean", "forest_morgan", "forest_descriptors"} < found.figures["acid"]["test"].keys()
        pd.testing.assert_frame_equal(found.table, pd.read_csv(f"by_command/{CSV}"), check_dtype=False)
    value, low, high = from_path.figures["acid"]["test"][OURS]["accuracy"]
    assert low <= value <= high and from_path["acid"].ours.estimates["accuracy"].value == value
    shifts = {result.task: {shift.change for shift in result.shifts} for result in from_path.results}
    assert "smiles order" in shifts["atoms"]
    assert "forest_morgan" in str(from_path) or "random forest, Morgan" in str(from_path)


def test_one_task_of_another_part_and_fewer_rows(bundle: Path):
    found = mammal.evaluate(bundle, "atoms", part="valid", limit=3, **QUICK)
    (result,) = found.results
    assert result.part == "valid" and result.rows["valid"] == 3 and len(result.answers) == 3
    assert [contender.name for contender in result.contenders] == [OURS] and not result.shifts


def test_several_tasks_on_the_command_line(bundle: Path):
    words = [f"bundle={bundle}", "device=cpu", "baselines=false", "sensitivity=0", "neighbours=false"]
    assert main(["evaluate", *words, "task=[atoms, acid]", "output=both"]) == 0
    assert [result.task for result in load_results(Path("both"))] == ["atoms", "acid"]
    assert main(["evaluate", *words, "task=[acid]", "output=one"]) == 0
    assert [result.task for result in load_results(Path("one"))] == ["acid"]
    assert main(["evaluate", *words, "task=[acid,acids]", "output=none"]) == 2 and not Path("none").exists()


def test_features_of_the_evaluated_rows_alone_are_computed(
    small_bundle: Callable[..., Path], bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    from mammal.tasks.features.morgan import Morgan

    model = mammal.load(small_bundle(), device="cpu")
    task = model.find_task("molecule_features")
    changed = {"data": {"source": "file", "path": "rows.csv", "split": "random"}}
    task = model.tasks["feats"] = changed_task(task, {**changed, "name": "feats"})
    task.fit([{"smiles": smiles} for smiles in dict.fromkeys(SMILES)])
    model.model.add_vector_heads(task.head_widths)
    model = mammal.load(model.save("feats"), device="cpu")  # without the features that fitting has computed
    seen: set[str] = set()
    values = Morgan.values

    def counted(self: Morgan, text: str) -> np.ndarray:
        seen.add(text)
        return values(self, text)

    monkeypatch.setattr(Morgan, "values", counted)
    found = mammal.evaluate(model, "feats", limit=4)
    assert len(seen) == 4 and found["feats"].rows["train"] > 40
    seen.clear()
    mammal.evaluate(model, "feats", data=own_rows())
    assert len(seen) == len(own_rows())


def test_an_output_folder_holds_what_the_command_writes_and_a_page(bundle: Path):
    mammal.evaluate(bundle, "acid", output="found", **QUICK)
    mammal.evaluate(bundle, "atoms", output=Path("found"), part="valid", **QUICK)
    assert {(one.task, one.part) for one in load_results(Path("found"))} == {("acid", "test"), ("atoms", "valid")}
    names = {file.name for file in Path("found").iterdir()}
    assert names >= {FILE, CSV, "evaluation.md", "answers_acid.csv", "answers_atoms.valid.csv", "report.html"}
    page = Path("found/report.html").read_text()
    assert "acid" in page and "atoms" in page


def test_rows_of_ones_own_are_all_evaluated(bundle: Path):
    rows = own_rows()
    model = mammal.load(bundle, device="cpu")
    found = mammal.evaluate(model, data=rows, **QUICK)
    predicted = model.predict(rows, task="atoms")["prediction"].to_numpy(float)
    rmse = float(np.sqrt(np.mean((predicted - rows["size"].to_numpy()) ** 2)))
    assert found["atoms"].part == "own" and found["atoms"].rows["own"] == len(rows)
    assert found["atoms"].ours.estimates["rmse"].value == pytest.approx(rmse, rel=1e-5)
    named = rows.rename(columns={"acidic": "y"}).to_dict("records")  # as the template calls the column
    again = mammal.evaluate(model, "acid", data=named, **QUICK)
    assert same(again.figures["acid"], found.figures["acid"])
    others = mammal.evaluate(model, "atoms", data=rows.assign(smiles="CCCCCO"), **QUICK)
    assert others["atoms"].split_hash != found["atoms"].split_hash, "the hash names these rows, not their number"
    assert mammal.evaluate(model, "atoms", data=rows, limit=2, **QUICK)["atoms"].rows["own"] == 2


def test_rows_that_no_figure_counts_are_named(bundle: Path, caplog: pytest.LogCaptureFixture):
    own = [{"smiles": "CCO", "acidic": "0"}, {"smiles": "C1CC", "acidic": "1"}, {"smiles": "CC(=O)O", "acidic": ""}]
    mammal.evaluate(mammal.load(bundle), "acid", data=[*own, {"smiles": "CCN", "acidic": "0"}], **QUICK)
    (told,) = (line for line in caplog.messages if "not in the figures" in line)
    assert told.startswith("acid: 2 of 4 rows are not in the figures; the first is row 2: ")
    caplog.clear()
    mammal.evaluate(mammal.load(bundle), "acid", data=own[:1], **QUICK)
    assert "not in the figures" not in caplog.text
    mammal.evaluate(mammal.load(bundle), "acid", data=own[::2], **QUICK)
    assert "1 of 2 rows are not in the figures; the first is row 2: column y: empty cell" in caplog.text


def test_own_rows_are_compared_with_the_tasks_training_rows(bundle: Path):
    rows = own_rows()
    rows.to_csv("own.csv", index=False)
    found = mammal.evaluate(bundle, "atoms", data=rows, device="cpu", **HOW)["atoms"]
    training = pd.read_csv("rows.csv").shape[0] * 0.8
    assert found.rows["train"] == pytest.approx(training, abs=1)
    assert found.leakage["own"] == 1 and found.answers["similarity"].max() == 1, "one molecule is a training row"
    assert {"forest_morgan", "forest_descriptors"} < {contender.name for contender in found.contenders}
    words = [f"{key}={value}" for key, value in HOW.items()]
    assert main(["evaluate", f"bundle={bundle}", "task=atoms", "input=own.csv", "device=cpu", *words]) == 0
    (written,) = load_results(bundle.parent / "evaluation")
    assert same(as_metrics([found]), as_metrics([written]))


def test_what_cannot_be_evaluated_is_named(bundle: Path):
    model = mammal.load(bundle, device="cpu")
    rows = own_rows()
    wrong: list[tuple[type[MammalError], str, Callable[[], object]]] = [
        (TaskError, "did you mean atoms", lambda: mammal.evaluate(model, "atomz")),
        (TaskError, "did you mean atoms", lambda: mammal.evaluate(model, ["acid", "atomz"])),
        (ConfigError, "list of tasks is empty", lambda: mammal.evaluate(model, [])),
        (ConfigError, "did you mean test", lambda: mammal.evaluate(model, part="tets")),
        (ConfigError, "rows of your own have no parts", lambda: mammal.evaluate(model, data=rows, part="valid")),
        (ConfigError, "limit: must be at least 1", lambda: mammal.evaluate(model, limit=0)),
        (ConfigError, "trees: must be at least 1", lambda: mammal.evaluate(model, trees=0)),
        (ConfigError, "did you mean data", lambda: mammal.evaluate(model, paths={"dta": "x"})),
        (ConfigError, "device can't be chosen", lambda: mammal.evaluate(model, device="cpu")),
        (ConfigError, "generates nothing", lambda: mammal.evaluate(model, generation={"num_beams": 2})),
        (DataError, "size", lambda: mammal.evaluate(model, "atoms", data=rows.drop(columns="size"))),
        (DataError, "has no rows", lambda: mammal.evaluate(model, "atoms", data=[])),
        (DataError, "no such file", lambda: mammal.evaluate(model, "atoms", data="nowhere.csv")),
        (MammalError, "there is no such folder", lambda: mammal.evaluate("nowhere")),
    ]
    for error, message, call in wrong:
        with pytest.raises(error, match=message):
            call()
    model.tasks.clear()
    with pytest.raises(ConfigError, match="comes without a task"):
        mammal.evaluate(model)


def test_an_unreadable_output_is_reported_before_the_work(bundle: Path):
    Path("found").mkdir()
    Path("found", FILE).write_text("{")
    with pytest.raises(DataError, match="not an evaluation"):
        mammal.evaluate("nowhere", output="found")


def test_molecules_that_are_sampled_are_a_set_too(small_bundle: Callable[..., Path], bundle: Path):
    declared = {
        "name": "sampled",
        "kind": "generation",
        "data": {"source": "file", "path": "rows.csv", "split": "random"},
        "prompt": {"input": "<SENTINEL_ID_0>", "target": "<SENTINEL_ID_0> {smiles:smiles}"},
        "generation": {"do_sample": True, "max_new_tokens": 8},
        "metrics": ["validity"],
    }
    model = mammal.load(small_bundle(declared), device="cpu")
    found = mammal.evaluate(model, draws=5, limit=4, output="found", **QUICK)
    assert [one.samples for one in found.sets] == [5] and Path("found/samples.json").is_file()
    assert mammal.evaluate(model, draws=5, limit=4, generated=False, **QUICK).sets == []


def test_runs_are_combined_from_python(bundle: Path):
    for seed in "ab":
        mammal.load(bundle, device="cpu").save(Path("runs") / seed / "bundle", metrics={})
    rows = EvaluatedRows(part="valid")
    words = ["runs=runs/*", "part=valid", "baselines=false", "sensitivity=0", "neighbours=false", "output=combined"]
    assert main(["evaluate", *words, "task=[acid,atoms]"]) == 0
    assert [result.task for result in load_results(Path("combined"))] == ["acid", "atoms"]
    (found,) = evaluate_runs("runs/*", task="acid", rows=rows)
    assert found.intervals == "seeds" and set(found.ours.by_seed) == {"runs/a", "runs/b"}
    alone = mammal.evaluate(bundle, "acid", part="valid", **QUICK)["acid"].ours.estimates["auroc"].value
    assert found.ours.estimates["auroc"].value == pytest.approx(alone)
    with pytest.raises(ConfigError, match="on their own rows"):
        evaluate_runs("runs/*", rows=EvaluatedRows(own=own_rows()))
    assert main(["evaluate", "runs=runs/*", "input=rows.csv"]) == 2


def test_answers_name_their_rows_as_the_users_file_does(bundle: Path):
    rows = own_rows()
    rows.insert(0, "id", [f"M{number}" for number in range(1, len(rows) + 1)])
    rows["label"], rows["note"], rows["empty"] = "batch 7", "x" * 100, ""
    rows.loc[1, "smiles"] = "C1CC"
    rows.to_csv("mine.csv", index=False)
    model = mammal.load(bundle, device="cpu")
    (result,) = mammal.evaluate(model, "atoms", data="mine.csv", output="found", **QUICK).results
    answers = pd.read_csv("found/answers_atoms.own.csv")
    assert list(answers)[:4] == ["row", "id", "acidic", "label_of_input"]
    assert not {"note", "empty", "label"} & set(answers)
    assert answers["row"].tolist() == [1, 3, 4, 5, 6]
    assert answers["id"].tolist() == ["M1", "M3", "M4", "M5", "M6"]
    assert [row for row, _ in result.not_answered] == [2]
    few = mammal.evaluate(model, "atoms", data="mine.csv", limit=2, **QUICK)
    assert few["atoms"].answers["row"].tolist() == [1, 6]


def test_answers_to_held_out_rows_have_the_numbers_of_the_table(bundle: Path):
    table = pd.read_csv("rows.csv")
    answers = mammal.evaluate(bundle, "atoms", device="cpu", **QUICK)["atoms"].answers
    assert answers["smiles"].tolist() == table["smiles"].iloc[answers["row"] - 1].tolist()
    assert answers["truth"].tolist() == table["size"].iloc[answers["row"] - 1].tolist()


def test_own_rows_are_read_from_the_only_column_that_can_be_meant(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = own_rows()
    right = mammal.evaluate(bundle, "atoms", data=own, **QUICK).figures
    with caplog.at_level("INFO", "mammal"):
        renamed = mammal.evaluate(bundle, "atoms", data=own.rename(columns={"smiles": "SMILES"}), **QUICK).figures
    assert renamed["atoms"]["own"]["MAMMAL"] == right["atoms"]["own"]["MAMMAL"]
    assert "column 'SMILES' is read as 'smiles'" in caplog.text
    with pytest.raises(DataError, match="no column 'smiles'"):
        mammal.evaluate(bundle, "atoms", data=own.rename(columns={"smiles": "compound"}), **QUICK)


def test_own_rows_without_the_training_rows_say_how_to_go_on(bundle: Path) -> None:
    Path("rows.csv").unlink()
    with pytest.raises(DataError) as raised:
        mammal.evaluate(bundle, "acid", data=own_rows(), baselines=False)
    assert "rows.csv" in str(raised.value) and "baselines=false neighbours=false" in str(raised.value.hint)
    assert len(mammal.evaluate(bundle, "acid", data=own_rows(), **QUICK).results) == 1
