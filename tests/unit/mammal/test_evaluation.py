"""Figures with their uncertainty: over rows, over seeds, and the reliability of probabilities."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammal.bundle.card import with_figures
from mammal.cli import main
from mammal.commands.evaluate import default_output
from mammal.errors import ConfigError, DataError
from mammal.evaluation.bar import standing_of, verdict
from mammal.evaluation.compare_runs import check_seeds_alone
from mammal.evaluation.evaluate_task import BOOTSTRAP_SAMPLES
from mammal.evaluation.reliability import reliability
from mammal.evaluation.results import (
    OURS,
    Contender,
    Estimate,
    Shift,
    TaskResult,
    as_metrics,
    earlier_results,
    load_results,
    readable_name,
    save_results,
    with_earlier,
)
from mammal.evaluation.runs import run_folders
from mammal.evaluation.seeds import combine, estimate_over_seeds, standing
from mammal.evaluation.tables import CSV, MARKDOWN, contenders_table
from mammal.report.sections import overview
from mammal.report.task_section import task_section
from mammal.tasks.metrics.answers import Answers

NAN = float("nan")


def result(value: float, split_hash: str = "a" * 64, baselines: dict[str, list[float]] | None = None) -> TaskResult:
    """One run of a toy task with the metric rmse."""
    contenders = [Contender(OURS, {"rmse": Estimate(value, value - 0.1, value + 0.1)})]
    for name, values in (baselines or {}).items():
        by_seed = {str(seed): {"rmse": v} for seed, v in enumerate(values)}
        contenders.append(Contender(name, {"rmse": Estimate(float(np.mean(values)), NAN, NAN)}, by_seed=by_seed))
    truth = np.linspace(0, 9, 40)
    answers = pd.DataFrame({"row": range(40), "s": "CCO", "truth": truth, OURS: truth + 1, "similarity": truth / 10})
    return TaskResult(
        task="toy",
        about="A toy",
        kind="regression",
        part="test",
        split="random",
        split_hash=split_hash,
        rows={"train": 100, "test": 40},
        metrics=["rmse"],
        contenders=contenders,
        answers=answers,
        coverage={"y": 0.875},
        shifts=[Shift("tautomer", 40, 12, 12, 0.25, 1.5, NAN)],
    )


def test_mean_spread_and_t_interval_over_seeds():
    found = estimate_over_seeds([1.0, 2.0, 3.0])
    assert (found.value, found.sd) == (2.0, 1.0)
    half = 4.302652729911275 / np.sqrt(3)  # Student's t with two degrees of freedom, two-sided 95 %
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    alone = estimate_over_seeds([1.5])
    assert alone.value == 1.5 and np.isnan([alone.low, alone.high, alone.sd]).all()


def test_runs_are_put_together_over_seeds_and_baselines_count_once():
    forest = {"forest_morgan": [1.0, 1.2, 1.4]}
    runs = {"a": result(0.8, baselines=forest), "b": result(0.9, baselines=forest), "c": result(1.0)}
    both = combine(runs)
    ours, baseline = both.contenders
    assert ours.estimates["rmse"].value == pytest.approx(0.9) and len(ours.by_seed) == 3
    assert baseline.estimates["rmse"].sd == pytest.approx(0.2) and len(baseline.by_seed) == 3
    header, rows = contenders_table(both)
    assert header[-2:] == ["seeds", f"{OURS} is"] and rows[1][-2:] == ["3", "ahead"], "a lower rmse is better"
    assert "level:" in task_section(both).body and "Student" in overview([both]).body


def with_bar() -> TaskResult:
    """The forest is better on the test rows, the support vectors on the validation rows."""
    plain = result(0.8, baselines={"forest_morgan": [0.7, 0.72], "svm_both": [0.9, 0.9]})
    ours, forest, machine = plain.contenders
    reported = [replace(forest, valid=1.5), replace(machine, valid=1.1, note="C=10 gamma=1; 40 of 90 training rows")]
    return replace(plain, contenders=[ours, *reported])


def test_the_bar_is_the_best_baseline_on_the_validation_rows(tmp_path: Path):
    one = with_bar()
    assert one.bar is not None and one.bar.name == "svm_both", "not the forest, which is better on the test rows"
    assert verdict(one).startswith("The bar is support vectors, Morgan and descriptors, the best of 2 baselines")
    header, rows = contenders_table(one)
    assert header[-2:] == ["rmse on valid", "note"]
    assert rows[1][-2:] == ["1.50", ""]
    assert rows[2][-2:] == ["1.10", "best on valid; C=10 gamma=1; 40 of 90 training rows"]
    body = str(task_section(one).body)
    assert "The bar is" in body and "40 of 90 training rows" in body
    figures = as_metrics([one])["toy"]["test"]
    assert figures["best_baseline_on_valid"] == "svm_both" and "40 of 90" in figures["baseline_settings"]
    card = with_figures("# Card\n", {"toy": {"test": figures}})
    assert "best_baseline_on_valid svm_both" in card and "40 of 90 training rows" in card
    save_results([one], tmp_path)
    (loaded,) = load_results(tmp_path)
    assert [c.valid for c in loaded.contenders[1:]] == [1.5, 1.1]
    assert loaded.bar is not None and (loaded.bar.name, loaded.bar.note) == (one.bar.name, one.bar.note)


def test_over_seeds_the_model_is_compared_with_the_bar():
    both = combine({"a": with_bar(), "b": replace(with_bar(), contenders=result(0.84).contenders)})
    assert both.bar is not None and both.bar.name == "svm_both" and both.bar.valid == 1.1
    assert verdict(both).startswith("MAMMAL is ahead of support vectors, Morgan and descriptors")
    assert standing_of(both, "forest_morgan") == "behind", "the other baselines are shown, too"


def test_an_evaluation_without_figures_on_validation_rows_has_no_bar(tmp_path: Path):
    save_results([result(0.8, baselines={"forest_morgan": [0.7]})], tmp_path)
    reported = json.loads((tmp_path / "evaluation.json").read_text())
    for contender in reported["tasks"][0]["contenders"]:
        del contender["valid"], contender["note"]
    (tmp_path / "evaluation.json").write_text(json.dumps(reported))
    (loaded,) = load_results(tmp_path)
    assert loaded.bar is None and verdict(loaded) == "" and contenders_table(loaded)[0] == ["", "rmse"]


def test_runs_that_judged_other_rows_are_refused():
    with pytest.raises(DataError, match="split hash bbbbbbbbbbbb is not the aaaaaaaaaaaa"):
        combine({"a": result(0.8), "b": result(0.9, split_hash="b" * 64)})
    with pytest.raises(DataError, match="10 rows were evaluated, not the 40 of a"):
        combine({"a": result(0.8), "b": replace(result(0.9), rows={"train": 100, "test": 10})})


def test_runs_put_together_are_no_run_of_their_own(tmp_path: Path):
    for run, value in (("0", 0.8), ("1", 0.9)):
        save_results([result(value)], tmp_path / run)
    save_results([combine({"0": result(0.8), "1": result(0.9)})], tmp_path / "seeds")
    assert [folder.name for folder in run_folders(f"{tmp_path}/*")] == ["0", "1"]
    with pytest.raises(ConfigError, match="is not a run"):
        run_folders([str(tmp_path / "seeds")])


def test_level_means_within_one_pooled_standard_deviation():
    ours = Estimate(0.80, NAN, NAN, 0.03)
    assert standing(ours, Estimate(0.82, NAN, NAN, 0.01), higher_is_better=True) == "level"
    assert standing(ours, Estimate(0.83, NAN, NAN, 0.01), higher_is_better=True) == "behind"
    assert standing(ours, Estimate(0.83, NAN, NAN, 0.01), higher_is_better=False) == "ahead"
    assert standing(ours, Estimate(0.83, NAN, NAN), higher_is_better=True) == ""


def test_reliability_of_two_classes_and_of_more():
    truth = np.array([0, 1] * 50)
    honest = Answers(truth, truth, np.full((100, 2), 0.5))
    found = reliability(honest)
    assert found is not None and found.ece == pytest.approx(0) and found.brier == pytest.approx(0.25) == found.chance
    sure_and_wrong = reliability(Answers(truth, 1 - truth, np.eye(2)[1 - truth]))
    assert sure_and_wrong is not None and sure_and_wrong.ece == 1 and sure_and_wrong.brier == 1
    three = np.array([0, 1, 2] * 20)
    certain = reliability(Answers(three, three, np.eye(3)[three]))
    assert certain is not None and certain.ece == 0 and certain.brier == 0
    assert reliability(Answers(truth[:0], truth[:0], np.zeros((0, 2)))) is None


def test_what_an_evaluation_found_survives_its_files(tmp_path: Path):
    saved = combine({"a": result(0.8), "b": result(0.9)})
    save_results([saved], tmp_path)
    (loaded,) = load_results(tmp_path)
    assert loaded.intervals == "seeds" and loaded.coverage == {"y": 0.875}
    assert loaded.ours.by_seed == saved.ours.by_seed and loaded.ours.estimates == saved.ours.estimates
    assert loaded.shifts[0].moved == 0.25 and np.isnan(loaded.shifts[0].flipped)


def test_answers_called_none_survive_their_file_and_so_do_none_at_all(tmp_path: Path):
    named = pd.DataFrame({"row": [0, 1], "s": ["NA", "None"], "truth": ["None", "nan"], OURS: [0.25, NAN]})
    save_results([replace(result(0.8), answers=named)], tmp_path)
    (loaded,) = load_results(tmp_path)
    pd.testing.assert_frame_equal(loaded.answers, named, check_dtype=False)
    save_results([replace(result(0.8), answers=pd.DataFrame())], tmp_path)
    assert task_section(load_results(tmp_path)[0]).body


def test_another_part_or_task_stands_beside_what_the_folder_holds(tmp_path: Path):
    valid = replace(result(0.7), part="valid", rows={"valid": 40}, answers=result(0).answers.iloc[:3])
    save_results([result(0.8)], tmp_path)
    save_results(with_earlier([valid], earlier_results(tmp_path)), tmp_path)
    save_results(with_earlier([replace(result(0.6), task="other")], earlier_results(tmp_path)), tmp_path)
    again = [replace(result(0.9), about="judged again")]
    save_results(with_earlier(again, earlier_results(tmp_path)), tmp_path)
    found = {(r.task, r.part): r for r in load_results(tmp_path)}
    assert list(found) == [("toy", "test"), ("toy", "valid"), ("other", "test")]
    assert found["toy", "test"].about == "judged again" and found["toy", "valid"].ours.estimates["rmse"].value == 0.7
    assert [len(r.answers) for r in found.values()] == [40, 3, 40]
    assert len({task_section(r).anchor for r in found.values()}) == 3, "each has its own place on a page"
    figures = as_metrics(list(found.values()))
    assert set(figures["toy"]) == {"test", "valid"}


def test_an_evaluation_written_without_the_name_of_its_answers_is_read(tmp_path: Path):
    save_results([result(0.8)], tmp_path)
    file = tmp_path / "evaluation.json"
    reported = json.loads(file.read_text())
    del reported["tasks"][0]["answers"]
    file.write_text(json.dumps(reported))
    assert len(load_results(tmp_path)[0].answers) == 40


def test_page_of_a_task_tells_how_far_to_trust_it():
    body = task_section(result(0.8)).body
    assert "87.5%" in body and "tautomer" in body and "12 of 40" in body
    assert "Far from the training data" in body and "to 0.90" in body
    assert "Sensitivity" not in task_section(replace(result(0.8), shifts=[])).body


@pytest.fixture
def toy_bundle(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that says the same of every molecule, and loses to any that looks at them; its file of rows is here."""
    import torch

    import mammal

    monkeypatch.chdir(tmp_path)
    lines = [
        f"C1{'C' * (n % 9 + 1)}1{tail},{i % 2}" for i, (n, tail) in enumerate((n, t) for n in range(40) for t in "ON")
    ]
    Path("toy.csv").write_text("\n".join(["smiles,y", *lines]) + "\n")
    model = mammal.load(tiny_bundle)
    task = {
        "name": "toy",
        "kind": "classification",
        "data": {"source": "file", "path": "toy.csv", "split": "random"},
        "prompt": {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"},
        "labels": ["0", "1"],
        "metrics": ["auroc", "accuracy"],
    }
    model.tasks = {}
    model.use(task)
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.zero_()
    for run in ("runs/a", "runs/b"):
        model.save(Path(run) / "bundle", metrics={})
    return Path("runs")


def test_evaluate_one_bundle_then_several_runs(toy_bundle: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mammal.evaluation.evaluate_task.BOOTSTRAP_SAMPLES", BOOTSTRAP_SAMPLES // 20)
    monkeypatch.setattr("mammal.tasks.baselines.boosting.MOST_TREES", 25)
    words = ["trees=10", "seeds=2", "sensitivity=4", "device=cpu"]
    assert main(["evaluate", f"bundle={toy_bundle}/a/bundle", *words]) == 0
    out = capsys.readouterr().out
    assert "toy: 8 test rows" in out and "forest_descriptors" in out
    folder = toy_bundle / "a" / "evaluation"
    (found,) = load_results(folder)
    assert {shift.change for shift in found.shifts} >= {"smiles order", "tautomer"}
    assert found.reliability["y"].counts and "similarity" in found.answers
    table = pd.read_csv(folder / CSV)
    kinds = [f"{model}_{seen}" for model in ("svm", "boosting") for seen in ("morgan", "descriptors", "both")]
    assert set(table["model"]) == {OURS, "mean", "forest_morgan", "forest_descriptors", *kinds}
    assert found.bar is not None and f"The bar is {readable_name(found.bar.name)}, the best of 9 baselines" in out
    assert all(contender.valid >= 0 for contender in found.contenders[1:]) and found.contenders[-1].note
    assert "random forest, descriptors" in (folder / MARKDOWN).read_text()

    recorded = {"toy": {"test": {"split_hash": "f" * 64}}}
    (toy_bundle / "a" / "bundle" / "metrics.json").write_text(json.dumps(recorded))
    few = ["baselines=false", "sensitivity=0", "part=valid"]
    assert main(["evaluate", f"bundle={toy_bundle}/a/bundle", *words, *few]) == 0
    said = capsys.readouterr().err
    assert "not the split it was trained with" in said and "kept: the earlier figures of toy on test" in said
    assert [r.part for r in load_results(folder)] == ["test", "valid"]
    assert set(pd.read_csv(folder / CSV)["part"]) == {"test", "valid"}

    assert main(["evaluate", f"runs={toy_bundle}/*", *words, "output=both"]) == 0
    out = capsys.readouterr().out
    assert "MAMMAL is" in out
    (both,) = load_results(Path("both"))
    for name in ("forest_morgan", "forest_descriptors", "svm_both"):
        assert standing_of(both, name) == "behind" and f"{name} " in out
    assert both.bar == next(c for c in both.contenders if c.name == both.bar.name) and "MAMMAL is behind" in out
    assert both.intervals == "seeds" and set(both.ours.by_seed) == {"runs/a", "runs/b"}
    reported = json.loads(Path("both/evaluation.json").read_text())["tasks"][0]
    assert reported["split_hash"] == found.split_hash


def test_an_evaluation_lies_beside_its_bundle_but_not_in_the_package_or_a_cache(tiny_bundle: Path):
    assert default_output(str(tiny_bundle)) == tiny_bundle.parent / "evaluation"
    assert default_output("owner/name") == Path("evaluation")


def kept_run(folder: Path, **settings: object) -> Path:
    """The folder of a run with what training keeps of its configuration."""
    config = {"name": folder.name, "seed": 1, "output": str(folder), "optim": {"lr": 0.001}, "task": {"name": "toy"}}
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text(json.dumps(config | settings))
    return folder


def test_runs_that_differ_in_more_than_their_seed_are_refused(tmp_path: Path):
    first = kept_run(tmp_path / "a")
    check_seeds_alone([first, kept_run(tmp_path / "b", seed=2, paths={"data": "elsewhere"})])
    other = kept_run(tmp_path / "c", seed=3, optim={"lr": 0.1, "warmup": 5})
    with pytest.raises(ConfigError) as refused:
        check_seeds_alone([first, other])
    assert "optim.lr is 0.1, not 0.001; optim.warmup is 5, not absent" in str(refused.value).replace("\n", " ")
    with pytest.raises(ConfigError, match="has the seed of"):
        check_seeds_alone([first, kept_run(tmp_path / "d")])
    (tmp_path / "e").mkdir()
    check_seeds_alone([first, tmp_path / "e"])
    (first / "config" / "config.yaml").write_text("a: [")
    with pytest.raises(DataError, match="no configuration of a run"):
        check_seeds_alone([first, other])


def test_evaluate_refuses_runs_of_several_settings_unless_requested(tmp_path: Path, capsys):
    for name, rate in (("a", 0.001), ("b", 0.1)):
        run = kept_run(tmp_path / name, seed=name, optim={"lr": rate})
        save_results([result(0.8)], run / "evaluation")
    words = ["evaluate", f"runs={tmp_path}/*", "baselines=false"]
    assert main(words) == 2
    assert "differs from" in capsys.readouterr().err
    assert main([*words, "same_config=false"]) == 0


def test_neither_or_both_of_bundle_and_runs_is_wrong_use(capsys):
    assert main(["evaluate"]) == 2
    assert "one of bundle, runs and samples must be given" in capsys.readouterr().err
    assert main(["evaluate", "runs=nowhere/*"]) == 2
    assert "no run matches" in capsys.readouterr().err
