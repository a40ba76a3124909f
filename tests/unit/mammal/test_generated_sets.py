"""Files of molecules, and molecules that a task generates, are evaluated as sets and plotted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammal.cli import main
from mammal.errors import DataError
from mammal.evaluation.judge_sets import Against, judge_sets
from mammal.evaluation.samples import Samples, read_samples
from mammal.evaluation.set_results import figures_table, load_sets, save_sets
from mammal.jobs.store import earlier_errors_path
from mammal.report.gather import report
from mammal.report.set_section import MEASURES, figure_in_words, set_section
from mammal.tasks.molecule_sets.files import Drawn, molecules_of, set_name

TRAIN = ["CCO", "CC(=O)Nc1ccc(O)cc1", "c1ccc(-c2ccccc2)cc1", "CCN(CC)CC"]
TEST = ["CC(=O)Oc1ccccc1C(=O)O", "c1ccc(-c2ccncc2)cc1", "CCOC(C)=O"]
MADE = ["OCC", "c1ccc(-c2ccncc2)cc1", "C1CC", "", "c1ccc(-c2ccncc2)cc1", "<script>"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of samples, as `mammal generate` writes them, of a training set and of a test set."""
    monkeypatch.setenv("MAMMAL_CACHE", str(tmp_path / "cache"))
    pd.DataFrame({"text": MADE, "score": 0.5}).to_csv(tmp_path / "made.csv", index=False)
    options = {"seed": 7, "n": 6, "temperature": None, "shard_rows": 100}
    reported = {"verb": "generate", "input": "", "bundle": "", "options": options, "versions": {}, "format": 1}
    (tmp_path / "made.csv.manifest.json").write_text(json.dumps(reported))
    (tmp_path / "train.smi").write_text("\n".join(TRAIN))
    pd.DataFrame({"SMILES": TEST, "SPLIT": "test"}).to_csv(tmp_path / "test.csv.gz", index=False)
    return tmp_path


def test_a_file_of_samples_is_judged_without_a_model(files: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("fcd")
    arguments = [f"samples={files / 'made.csv'}", f"train={files / 'train.smi'}", f"test={files / 'test.csv.gz'}"]
    assert main(["evaluate", *arguments, f"output={files / 'judged'}"]) == 0
    assert "made: 6 samples, 3 valid, 2 different" in capsys.readouterr().out
    (result,) = load_sets(files / "judged")
    assert (result.samples, result.valid, result.distinct, result.made) == (6, 3, 2, {"seed": 7, "n": 6})
    assert result.figures["novelty"] == 0.5, "ethanol is in train, however it is written"
    assert result.figures["snn/test"] < 1 and result.figures["fcd/test"] > 0
    assert result.training is not None and result.training.molecules == 4
    table = pd.read_csv(files / "judged" / "molecules_made.csv", keep_default_na=False)
    assert table["valid"].tolist() == [True, True, False, False, True, False]
    assert table["repeat"].tolist() == [False, False, False, False, True, False]
    assert table["known"].tolist() == [True, False, False, False, False, False]
    figures = pd.read_csv(files / "judged" / "samples.csv").set_index("figure")["value"]
    assert figures["validity"] == 0.5 and figures["uniqueness"] == pytest.approx(2 / 3)
    page = (files / "judged" / "report.html").read_text()
    assert page.count("<svg") >= 7 and "&lt;script&gt;" in page and "<script" not in page and "in training" in page
    assert len(list((files / "cache" / "molecule_sets").glob("*.npz"))) == 1, "what the test set comes to is kept"


def test_sets_are_set_side_by_side(tmp_path: Path):
    references = {"test": ("test.smi", TEST * 10)}
    against = Against(lambda: iter([TRAIN]), "train.smi", references, reference_limit=20, seed=3)
    references["good"] = ("good.smi", TEST)
    both = [Samples("good", "good.csv", TEST), Samples("bad", "bad.csv", ["C1CC", "("], {"seed": 1})]
    pytest.importorskip("fcd")
    results = judge_sets(both, against)
    header, rows = figures_table(results)
    cells = {row[0]: row[1:] for row in rows}
    assert header == ["figure", "good", "bad"] and cells["validity"] == ["1.0000", "0.0000"]
    assert cells["novelty"] == ["1.0000", "–"] and cells["snn/test"] == ["1.0000", "–"]
    save_sets(results, tmp_path)
    good, bad = load_sets(tmp_path)
    assert good.references["test"].molecules == 20 and good.references["test"].drawn_from == 30
    assert good.histograms["qed"].shares["good"] == results[0].histograms["qed"].shares["good"]
    assert list(good.histograms["qed"].shares) == ["good", "test", "good, reference", "training"]
    assert "bad" not in bad.histograms["qed"].shares and np.isnan(bad.figures["novelty"])
    section = set_section([good, bad]).body
    assert "20 molecules sampled from 30" in section and "None is a molecule." in section and "unclosed ring" in section
    assert "seed 1" in section
    described(good.figures)


def described(figures: Mapping[str, float]) -> None:
    """Every measure has words in reports and a line on the page."""
    page = (Path(__file__).resolve().parents[3] / "docs/generation.md").read_text(encoding="utf-8")
    names = {name.partition("/")[0] for name in figures}
    wordless = {name for name in names if not name.startswith("w1_")} - set(MEASURES)
    assert not wordless, "MEASURES of mammal/report/set_section.py needs words for these"
    assert not {name for name in names if f"`{name}" not in page}, "docs/generation.md needs a line for these measures"


def test_a_measure_without_words_is_shown_by_its_name():
    assert figure_in_words("ring_share/test") == "ring_share, to test"


def test_shares_of_a_histogram_are_of_each_set(tmp_path: Path):
    (result,) = judge_sets([Samples("s", "s.smi", TEST + TRAIN)], Against())
    one = result.histograms["mw"]
    assert len(one.edges) == len(one.shares["s"]) + 1 and one.unit == "g/mol" and 0.7 < sum(one.shares["s"]) <= 1
    assert "fcd" not in " ".join(result.figures) and "novelty" not in result.figures, "nothing to hold them against"


def test_validity_stands_beside_size_and_accessibility(tmp_path: Path):
    made = [Samples("chains", "chains.smi", ["C" * 40, "C" * 50, "C", "CC(=O)Nc1ccccc1"])]
    save_sets(judge_sets(made, Against(lambda: iter([TRAIN]), "train.smi")), tmp_path)
    (result,) = load_sets(tmp_path)
    assert result.figures["validity"] == 1 and result.figures["in_range"] == 0.25
    assert result.ranges["heavy_atoms"] == (3, 12), "of ethanol and of biphenyl"
    body = str(set_section([result]).body)
    head = body[: body.index("All figures")]
    assert "Valid, and of a reasonable size?" in head and "100.0%" in head and "4 of 4" in head and "25.0%" in head
    assert "molecular weight / g/mol" in head and "1 (easy" in head
    assert "heavy atoms 3 to 12, molecular weight 46 to 154 g/mol" in head
    (unknown,) = judge_sets(made, Against())
    assert not unknown.ranges and "training set is not known" in set_section([unknown]).body
    written_before = [replace(unknown, molecules=unknown.molecules.drop(columns="heavy_atoms"))]
    assert "reasonable size" not in set_section(written_before).body


def test_lists_of_a_set_say_how_much_is_shown():
    smiles = ["C" * n for n in range(1, 41)] + [f"C1{'C' * n}" for n in range(20)]
    (result,) = judge_sets([Samples("s", "s.smi", smiles)], Against())
    body = set_section([result]).body
    assert "25 of 40 different molecules shown" in body and "8 of 20 different strings shown" in body


def test_sets_of_like_names_keep_their_own_tables(tmp_path: Path):
    names = ["a.b", "a_b", "A_B", "a_b_2"]
    made = [Samples(name, "s.smi", [smiles]) for name, smiles in zip(names, TRAIN, strict=True)]
    save_sets(judge_sets(made, Against()), tmp_path)
    assert [(one.name, one.molecules["smiles"].tolist()) for one in load_sets(tmp_path)] == [
        (name, [smiles]) for name, smiles in zip(names, TRAIN, strict=True)
    ]
    assert len(list(tmp_path.glob("molecules_*.csv"))) == 4


def test_damaged_results_are_reported(tmp_path: Path):
    assert load_sets(tmp_path) == []
    (tmp_path / "samples.json").write_text('{"sets": [{"name": "x"}]}')
    with pytest.raises(DataError, match="not the result of an evaluation of samples"):
        report(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["samples=nowhere.csv"], "no such file"),
        (["samples={made}", "column=smilse"], "no column 'smilse'"),
        (["samples={made}", "bundle=x"], "one of bundle, runs and samples must be given"),
        (["bundle=x", "train={made}"], "train and test are files that samples are compared with"),
        (["samples=[]"], "give a file, or a list of them"),
    ],
)
def test_wrong_use_is_reported(arguments: list[str], what: str, files: Path, capsys: pytest.CaptureFixture[str]):
    given = [argument.format(made=files / "made.csv") for argument in arguments]
    assert main(["evaluate", *given]) != 0
    assert what in capsys.readouterr().err


def test_a_job_tells_what_was_asked_and_what_never_became_valid(tmp_path: Path):
    file = tmp_path / "asked.csv"
    pd.DataFrame({"logp": [0.0, 2.0], "sample": [0, 1], "draws": [1, 3], "text": ["CCO", "CCCCCC"]}).to_csv(
        file, index=False
    )
    pd.DataFrame({"row": [3], "logp": [1.0], "error": ["no valid sequence"]}).to_parquet(earlier_errors_path(file))
    options = {"seed": 1, "conditions": {"logp": 1.0}}
    reported = {"verb": "generate", "input": "", "bundle": "", "options": options, "versions": {}, "format": 1}
    (tmp_path / "asked.csv.manifest.json").write_text(json.dumps(reported))
    samples = read_samples(file, "asked")
    assert samples.smiles == ["CCO", "CCCCCC", ""] and samples.made == options
    (result,) = judge_sets([samples], Against())
    ethanol, hexane = -0.0014, 2.5866
    assert result.figures["condition_mae/logp"] == pytest.approx((abs(ethanol) + abs(hexane - 2)) / 2, abs=1e-4)
    assert result.figures["validity"] == pytest.approx(2 / 3) and result.figures["kept_at_once"] == pytest.approx(1 / 3)
    assert result.figures["draws"] == 2 and all(figure_in_words(name) for name in result.figures)
    assert result.molecules["asked_logp"].tolist()[:2] == [0.0, 2.0]
    assert "logP, obtained against requested" in set_section([result]).body
    save_sets([result], tmp_path)
    assert set_section(load_sets(tmp_path)).body == set_section([result]).body
    assert not read_samples(file, "asked", asked=[]).asked
    with pytest.raises(DataError, match="the property 'sample' is not computed"):
        read_samples(file, "asked", asked=["sample"])


def made_by_a_job(folder: Path, rows: pd.DataFrame, failed: dict[int, str], **options: Any) -> Path:
    """A file as `mammal generate` leaves it; `failed`: row of the input -> why."""
    file = folder / "job.csv"
    rows.to_csv(file, index=False)
    prefix = options.get("prefix", "")
    errors = {f"{prefix}row": list(failed), f"{prefix}error": list(failed.values())}
    pd.DataFrame(errors).to_parquet(earlier_errors_path(file))
    source = options.pop("input", "")
    reported = {"verb": "generate", "input": source, "bundle": "", "options": options, "versions": {}, "format": 1}
    (folder / "job.csv.manifest.json").write_text(json.dumps(reported))
    return file


def test_what_was_generated_is_judged_whatever_was_copied_beside_it(tmp_path: Path):
    asked = {"smiles": ["CCO", "CCN"], "sample": [0, 0], "score": [-1.0, -2.0]}
    frame = pd.DataFrame({**asked, "text": ["C1CC", "CCCl"]})
    file = made_by_a_job(tmp_path, frame, {})
    assert read_samples(file, "x").smiles == ["C1CC", "CCCl"]
    assert read_samples(file, "x", column="smiles").smiles == ["CCO", "CCN"], "asked for, it is judged"
    made_by_a_job(tmp_path, frame.assign(completed=["CCC", "CCBr"]), {})
    assert read_samples(file, "x").smiles == ["CCC", "CCBr"], "the whole molecule, not what was filled in"
    made_by_a_job(tmp_path, frame.drop(columns="score"), {})
    assert read_samples(file, "x").smiles == ["CCO", "CCN"], "a table of molecules with a text beside them"
    two = {"text_smiles": ["C", "N"], "smiles_text": ["O", "S"], "smiles_score": [0, 0], "logp_prediction": [1, 1]}
    made_by_a_job(tmp_path, pd.DataFrame(two), {})
    assert read_samples(file, "x").smiles == ["O", "S"]
    made_by_a_job(tmp_path, pd.DataFrame({**two, "b_text": ["C", "C"], "b_score": [0, 0]}), {})
    with pytest.raises(DataError, match="there are several generated columns") as unclear:
        read_samples(file, "x")
    assert "smiles_text, b_text" in str(unclear.value.hint)


def test_a_prefix_of_the_job_is_known(tmp_path: Path):
    frame = pd.DataFrame({"smiles": ["CC"], "m_logp": [1.0], "m_draws": [4], "m_text": ["CCO"], "m_score": [-1.0]})
    file = made_by_a_job(tmp_path, frame, {2: "no valid sequence"}, prefix="m_", conditions={"logp": 1.0})
    samples = read_samples(file, "x")
    assert samples.smiles == ["CCO", ""] and samples.asked["logp"].tolist()[0] == 1.0
    assert samples.draws is not None and samples.draws.tolist() == [4, np.inf]


def test_failures_are_counted_among_the_first_so_many_as_well(tmp_path: Path):
    frame = pd.DataFrame({"text": ["C", "CC", "CCC", "CCCC"], "score": 0.0})
    file = made_by_a_job(tmp_path, frame, {1: "2 of 3: no valid sequence", 3: "invalid SMILES"}, n=3)
    assert read_samples(file, "x").smiles == ["C", "CC", "CCC", "CCCC", "", "", "", "", ""]
    firsts = [read_samples(file, "x", limit=limit).smiles for limit in (1, 2, 5, 7)]
    apart = made_by_a_job(tmp_path, frame, {2: "no valid sequence"}, n=5, input="5 rows without columns")
    assert read_samples(apart, "x").smiles == ["C", "CC", "CCC", "CCCC", ""], "each draw is a row of its own"
    assert read_samples(apart, "x", limit=2).smiles == ["C", ""]
    assert firsts == [["C"], ["C", ""], ["C", "CC", "CCC", "", ""], ["C", "CC", "CCC", "CCCC", "", "", ""]]


def test_a_column_of_references_is_named_or_found(files: Path, capsys: pytest.CaptureFixture[str]):
    pd.DataFrame({"structure": TEST, "id": 0}).to_csv(files / "odd.csv", index=False)
    pd.DataFrame({"structure": MADE, "text": "x"}).to_csv(files / "samples.csv", index=False)
    words = ["evaluate", f"samples={files / 'samples.csv'}", "column=structure", f"output={files / 'judged'}"]
    assert main([*words, f"test=[{files / 'odd.csv'},{files / 'test.csv.gz'}]", f"train={files / 'train.smi'}"]) == 0
    (result,) = load_sets(files / "judged")
    assert result.valid == 3 and [one.molecules for one in result.references.values()] == [3, 3]
    assert main([*words, f"test={files / 'odd.csv'}", "reference_column=structur"]) != 0
    assert "no column 'structur'" in capsys.readouterr().err


def test_columns_of_molecules_are_found(files: Path):
    assert molecules_of(files / "made.csv") == MADE and molecules_of(files / "made.csv", limit=2) == MADE[:2]
    assert molecules_of(files / "test.csv.gz") == TEST and set_name(files / "test.csv.gz") == "test"
    assert molecules_of(files / "train.smi") == TRAIN
    pd.DataFrame({"a": ["C"], "b": ["C"]}).to_csv(files / "unclear.csv", index=False)
    with pytest.raises(DataError, match="can't tell which column holds the molecules"):
        molecules_of(files / "unclear.csv")


def test_some_of_many_are_drawn_with_equal_chance():
    parts = [[str(n) for n in range(start, start + 100)] for start in range(0, 1000, 100)]
    counts = np.zeros(1000)
    for seed in range(200):
        drawn = Drawn(50, seed)
        assert sum(len(part) for part in drawn.watch(parts)) == 1000
        assert len(set(drawn.kept)) == 50
        counts[[int(text) for text in drawn.kept]] += 1
    expected = 200 * 50 / 1000
    assert abs(counts[:100].mean() - expected) < 2 and abs(counts[900:].mean() - expected) < 2
    few = Drawn(50)
    assert list(few.watch([["C"], ["N"]])) == [["C"], ["N"]] and few.kept == ["C", "N"]


@pytest.mark.slow
def test_a_task_that_generates_molecules_is_judged_as_a_set_too(
    tiny_bundle: Path, files: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("fcd")
    monkeypatch.setattr("mammal.evaluation.judge_sets.DRAWN_OF_TRAINING", 20)
    output = files / "evaluation"
    arguments = ["task=molecules", "limit=12", "draws=8", "baselines=false", "sensitivity=0", "workers=0"]
    assert main(["evaluate", f"bundle={tiny_bundle}", *arguments, f"output={output}"]) == 0
    (result,) = load_sets(output)
    assert result.samples == 8 and result.source == "draws of molecules" and result.made["seed"] == 0
    assert result.references["test"].molecules == 12 and result.training is not None
    assert result.training.molecules > 10_000
    assert "Generated molecules" in report(output)


def test_no_file_takes_the_place_of_another(tmp_path: Path):
    from mammal.evaluation.sample_files import _named

    files = [Path("g1.csv"), Path("g1.5.csv"), Path("a/g2.csv.gz"), Path("b/g2.tsv"), Path("g3.csv"), Path("g3.smi")]
    assert list(_named(files)) == ["g1", "g1.5", "a_g2", "b_g2", "g3", "g3_2"]
