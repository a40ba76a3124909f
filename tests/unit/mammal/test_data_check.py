"""`mammal.check_data`: every kind of planted fault is found, with its rows, and clean data raise none of them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.data_check.api import DataCheck
from mammal.data_check.label_noise import label_issues
from mammal.data_check.neighbours import identity
from mammal.errors import DataError, TaskError

FAULTS = {
    *("unreadable", "not_encodable", "unknown_label", "not_a_number", "empty_label", "absent_class", "rare_class"),
    *("constant_target", "frequent_number", "repeated_row", "same_entity", "conflicting_labels", "mixed_units"),
    *("percent", "mixed_logarithms", "flipped_sign", "outlier", "label_noise", "leak", "too_long", "missing_input"),
    *("extreme_input", "lost_stereo", "nonstandard_residue", "unknown_bases", "no_split"),
}
NUMBERS = {
    "name": "numbers",
    "kind": "regression",
    "prompt": {"input": "<MASK> {smiles:smiles}", "target": "{y:scalar}"},
    "data": {"split": "random"},
}
CLASSES = {
    "name": "classes",
    "kind": "classification",
    "prompt": {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"},
    "labels": ["no", "yes"],
    "data": {"split": "random"},
}
PEPTIDES = {**CLASSES, "prompt": {**CLASSES["prompt"], "input": "<SENTINEL_ID_0> {sequence:peptide}"}}
GIVEN = {"split": "given", "split_column": "split"}


@cache
def molecules() -> tuple[list[str], list[float]]:
    """Real molecules of one component, each once, and their estimated logP: a label that depends on the structure."""
    from rdkit import Chem
    from rdkit.Chem.Crippen import MolLogP

    from mammal.tasks.declaration.data_config import DataConfig
    from mammal.tasks.sources.chemicals import load

    frame = load(DataConfig(source="chemicals", name="melting_point"), None).iloc[1500:2400]
    found: dict[str, tuple[str, float]] = {}
    for smiles in frame["smiles"]:
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is not None and molecule.GetNumAtoms() > 5 and not set(".+@/\\") & set(smiles):
            key = Chem.MolToInchiKey(molecule).partition("-")[0]
            found.setdefault(key, (Chem.MolToSmiles(molecule), MolLogP(molecule)))
    smiles, values = zip(*found.values(), strict=True)
    return list(smiles), [round(value, 3) for value in values]


def numbers(**columns: Sequence[Any]) -> pd.DataFrame:
    """A clean table of molecules and numbers, cells as text."""
    smiles, values = molecules()
    return pd.DataFrame({"smiles": smiles, "y": [str(value) for value in values], **columns})


def classes() -> pd.DataFrame:
    """A clean table of molecules and classes: whether there is a benzene ring, which fingerprints tell."""
    from rdkit import Chem

    smiles, _ = molecules()
    ring = Chem.MolFromSmarts("c1ccccc1")
    has = [Chem.MolFromSmiles(one).HasSubstructMatch(ring) for one in smiles]
    return pd.DataFrame({"smiles": smiles, "y": ["yes" if one else "no" for one in has]})


def check(table: pd.DataFrame, task: Mapping[str, Any] = NUMBERS, **options: Any) -> DataCheck:
    return mammal.check_data(task, table, **{"neighbours": 0, "label_noise": False, **options})


def rows_of(found: DataCheck, kind: str) -> set[int]:
    """Row numbers, from 0, of all findings of a kind."""
    return {flagged.row for finding in found[kind] for flagged in finding.rows}


def with_cells(table: pd.DataFrame, column: str, cells: Mapping[int, str]) -> pd.DataFrame:
    changed = table.copy()
    for row, cell in cells.items():
        changed.loc[row, column] = cell
    return changed


def with_rows(table: pd.DataFrame, rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    return pd.concat([table, pd.DataFrame(rows)], ignore_index=True)


# Clean data


@pytest.mark.parametrize(("table", "task"), [(numbers, NUMBERS), (classes, CLASSES)])
def test_clean_molecules_have_no_fault(table: Any, task: Mapping[str, Any]):
    found = check(table(), task, neighbours=10_000, label_noise=True)
    assert {finding.kind for finding in found.findings} & FAULTS == set(), str(found)
    assert not found.fails("warning") and found.rows == len(table()) > 500


def test_clean_numbers_over_orders_of_magnitude_have_no_fault():
    table = numbers()
    table["y"] = [f"{10 ** (1 + 0.6 * float(y)):.5g}" for y in table["y"]]
    found = check(table, neighbours=10_000)
    assert {finding.kind for finding in found.findings} & FAULTS == set(), str(found)


@pytest.mark.parametrize("shape", ["normal", "two honest groups", "signs", "fractions", "lognormal"])
def test_honest_distributions_are_no_mixed_units(shape: str):
    rng = np.random.default_rng(0)
    count = len(numbers())
    values = {
        "normal": rng.normal(300, 50, count),
        "two honest groups": np.where(rng.random(count) < 0.2, rng.normal(1, 0.2, count), rng.normal(6, 0.5, count)),
        "signs": np.where(rng.random(count) < 0.3, -1, 1) * rng.normal(3, 0.3, count),
        "fractions": rng.beta(0.5, 0.5, count),
        "lognormal": 10 ** rng.normal(2, 1.5, count),
    }[shape]
    found = check(numbers(y=[f"{value:.6g}" for value in values]), neighbours=10_000)
    assert not {"mixed_units", "percent", "mixed_logarithms", "flipped_sign"} & {f.kind for f in found.findings}


# Rows and labels


def test_unreadable_rows_are_grouped_by_reason():
    bad = {3: "C1CC", 5: "not a molecule", 8: "", 9: "CC(C)(C)(C)C", 11: "CN(C)(C)C"}
    found = check(with_cells(numbers(), "smiles", bad))
    assert rows_of(found, "unreadable") == set(bad) and len(found["unreadable"]) >= 3
    (valence,) = (one for one in found["unreadable"] if "valence" in one.what)
    assert valence.count == 2 and {one.row for one in valence.rows} == {9, 11}
    assert valence.severity == "warning"
    many = check(with_cells(numbers(), "smiles", dict.fromkeys(range(200), "C1CC")))
    assert {one.severity for one in many["unreadable"]} == {"error"} and many.fails("error")


def test_labels_of_tokens_that_do_not_fit_are_grouped_by_reason():
    task = {
        "name": "sites",
        "kind": "token_classification",
        "mode": "encoder",
        "prompt": {"input": "{sequence:protein}", "target": "{y:labels}"},
        "labels": ["0", "1"],
        "labels_at": ["S"],
        "data": {"split": "random"},
    }
    good = [(f"MK{'L' * n}S{'A' * (n % 5)}S", f"{n % 2}0") for n in range(1, 40)]
    bad = [("MSKS", "0100"), ("MSKS", ""), ("MSKS", "0X"), ("MKL", "0"), ("MS*S", "00")]
    found = check(pd.DataFrame([*good, *bad], columns=["sequence", "y"]), task)
    assert rows_of(found, "token_labels") == {39, 40, 41, 42} and rows_of(found, "not_encodable") == {43}
    reasons = " ".join(one.what for one in found["token_labels"])
    assert "without labels that fit" in reasons and len(found["token_labels"]) == 2
    assert {one.severity for one in found["token_labels"]} == {"warning"}
    assert not check(pd.DataFrame(good, columns=["sequence", "y"]), task)["token_labels"]


def test_empty_unknown_and_rare_labels():
    cells = {2: "", 4: "NA", 6: "ye", 7: "ye"}
    found = check(with_cells(classes(), "y", cells), CLASSES)
    assert rows_of(found, "empty_label") == {2, 4} and rows_of(found, "unknown_label") == {6, 7}
    assert "'ye' (2)" in found["unknown_label"][0].what and found["unknown_label"][0].severity == "error"
    rare = classes().assign(y=["yes" if row % 100 == 0 else "no" for row in range(len(classes()))])
    assert check(rare, CLASSES)["rare_class"][0].severity == "warning"
    three = check(classes(), {**CLASSES, "labels": ["no", "yes", "maybe"]})
    assert "has maybe" in three["absent_class"][0].what and three.fails("error")


def test_constant_targets_and_the_end_of_a_range():
    assert check(classes().assign(y="yes"), CLASSES)["constant_target"][0].severity == "error"
    assert check(numbers().assign(y="5.0"))["constant_target"][0].severity == "error"
    half = with_cells(numbers(), "y", dict.fromkeys(range(0, len(numbers()), 2), "-50"))
    assert "the end of the range" in check(half)["frequent_number"][0].what
    assert rows_of(check(with_cells(numbers(), "y", {1: "~3", 4: "high"})), "not_a_number") == {1, 4}


# Repeats


def test_repeats_as_written_and_after_standardisation():
    table = numbers()
    same = {"smiles": "OCCc1ccccc1", "y": "1.2"}
    other = {"smiles": "C1=CC=CC=C1CCO", "y": "1.2"}
    found = check(with_rows(table, [same, same, other]))
    count = len(table)
    assert count + 1 in rows_of(found, "repeated_row") and count + 2 in rows_of(found, "same_entity")
    assert found["repeated_row"][0].rows[0].other == count
    assert not found["conflicting_labels"]


def test_conflicting_numbers_are_measured_in_standard_deviations():
    table = numbers()
    repeats = table.head(12).assign(
        y=[str(float(y) + (4.0 if row < 3 else 0.01)) for row, y in enumerate(table.y[:12])]
    )
    found = check(pd.concat([table, repeats], ignore_index=True))
    (conflict,) = found["conflicting_labels"]
    assert {one.row for one in conflict.rows} == {len(table), len(table) + 1, len(table) + 2}
    assert conflict.figures["repeated rows"] == 12 and conflict.figures["median difference"] < 0.05
    assert conflict.rows[0].score is not None and conflict.rows[0].score > 1 and "standard deviations" in conflict.what


def test_conflicting_classes_name_both_rows():
    table = classes()
    rows = [{"smiles": table.smiles[0], "y": "no" if table.y[0] == "yes" else "yes"}, dict(table.iloc[1])]
    found = check(with_rows(table, rows), CLASSES)
    (conflict,) = found["conflicting_labels"]
    assert {one.row for one in conflict.rows} == {0, len(table)} and conflict.severity == "warning"
    assert "1 of 2 repeated entities" in conflict.what


def test_stereoisomers_are_kept_apart_from_repeats():
    rows = [{"smiles": "C[C@H](N)C(=O)O", "y": "1"}, {"smiles": "C[C@@H](N)C(=O)O", "y": "2"}]
    found = check(with_rows(numbers(), rows))
    assert rows_of(found, "same_connectivity") == {len(numbers()) + 1} and not found["conflicting_labels"]
    assert found["same_connectivity"][0].figures["with another label"] == 1


# Units


def repeated(change: Any, *, base: pd.DataFrame | None = None, count: int = 8) -> pd.DataFrame:
    """A table and, at its end, repeats of its first rows with changed numbers."""
    table = numbers() if base is None else base
    repeats = table.head(count).assign(y=[f"{change(float(y)):.8g}" for y in table.y[:count]])
    return pd.concat([table, repeats], ignore_index=True)


def wide() -> pd.DataFrame:
    """A clean table whose numbers span orders of magnitude."""
    table = numbers()
    return table.assign(y=[f"{10 ** (2 + 0.7 * float(y)):.6g}" for y in table["y"]])


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda y: y * 1e3, "mixed_units", "factor of 1,000 "),
        (lambda y: y / 1e6, "mixed_units", "factor of 1,000,000 "),
        (lambda y: y * 1e9, "mixed_units", "factor of 1,000,000,000 "),
        (lambda y: 9 - np.log10(y), "mixed_logarithms", "-log10 of a number in nM"),
        (np.log10, "mixed_logarithms", "log10"),
        (lambda y: -y, "flipped_sign", "other sign"),
    ],
)
def test_repeats_in_another_unit(change: Any, kind: str, words: str):
    found = check(repeated(change, base=wide()))
    (finding,) = found[kind]
    assert words in finding.what and "contradicting repeats agree" in finding.what and finding.severity == "warning"
    last = set(range(len(numbers()), len(numbers()) + 8))
    assert len(rows_of(found, kind) & ({*last} | set(range(8)))) >= 3


def test_contradictions_without_a_pattern_are_no_unit():
    noise = random.Random(1)
    found = check(repeated(lambda y: y * 10 ** noise.uniform(0.5, 2.3), base=wide(), count=20))
    assert found["conflicting_labels"] and not found["mixed_units"]


def test_kelvin_and_celsius_in_repeats():
    base = numbers().assign(y=[f"{350 + 20 * float(y):.2f}" for y in numbers()["y"]])
    (finding,) = check(repeated(lambda y: y - 273.15, base=base))["mixed_units"]
    assert "°C where others are K" in finding.what or "K where others are °C" in finding.what


@pytest.mark.parametrize(
    ("base", "change", "kind", "words"),
    [
        (lambda y: 10 ** (1.5 + 0.5 * y), lambda y: y * 1e-9, "mixed_units", "factor of 1,000,000,000 "),
        (lambda y: 5000 + 900 * y, lambda y: 9 - np.log10(y), "mixed_logarithms", "-log10"),
        (lambda y: 5 + 0.15 * y, lambda y: 10 ** (9 - y), "mixed_logarithms", "-log10"),
        (lambda y: 0.45 + 0.05 * y, lambda y: 100 * y, "percent", "percent among fractions"),
        (lambda y: 45 + 5 * y, lambda y: y / 100, "percent", "fractions among percentages"),
    ],
)
def test_two_groups_of_numbers(base: Any, change: Any, kind: str, words: str):
    table = numbers()
    values = [base(min(max(float(y), -2.0), 6.0)) for y in table["y"]]
    wrong = set(range(0, len(values), 20))
    table["y"] = [f"{change(value) if row in wrong else value:.8g}" for row, value in enumerate(values)]
    found = check(table)
    assert words in found[kind][0].what and "gap" in found[kind][0].what
    assert rows_of(found, kind) == wrong


def test_rows_in_another_unit_than_similar_rows():
    table = numbers()
    values = [200 + 10 * float(y) for y in table["y"]]
    wrong = set(range(0, len(values), 40))
    table["y"] = [f"{-value if row in wrong else value:.8g}" for row, value in enumerate(values)]
    found = check(table, neighbours=10_000)
    assert "rows far from similar rows fit them" in found["flipped_sign"][0].what
    assert len(rows_of(found, "flipped_sign")) >= 5 and rows_of(found, "flipped_sign") <= wrong


# Neighbours and label noise


def test_outliers_among_similar_rows():
    planted = {row: "-19" if row % 2 else "25.5" for row in range(0, len(numbers()), 45)}
    found = check(with_cells(numbers(), "y", planted), neighbours=10_000)
    (finding,) = found["outlier"]
    assert len(finding.rows) >= 3 and rows_of(found, "outlier") <= planted.keys()
    assert finding.severity == "note" and "similar rows about" in finding.rows[0].detail
    assert finding.figures["compared rows"] < len(numbers())


def test_wrong_classes_are_found_by_confident_learning():
    table = classes()
    wrong = set(random.Random(0).sample(range(len(table)), 25))
    flipped = {row: "no" if table.y[row] == "yes" else "yes" for row in wrong}
    (finding,) = check(with_cells(table, "y", flipped), CLASSES, label_noise=True)["label_noise"]
    hit = {one.row for one in finding.rows}
    assert len(hit & wrong) >= 0.6 * len(wrong) and len(hit - wrong) <= 0.25 * len(hit)
    assert 0.5 * len(wrong) <= finding.figures["estimated share"] * len(table) <= 2 * len(wrong)


def test_one_wrong_class_among_close_neighbours():
    chains = ["C" * n + "c1ccccc1" for n in range(2, 20)] + ["C" * n + "O" for n in range(4, 22)]
    table = pd.DataFrame({"smiles": chains, "y": ["yes"] * 18 + ["no"] * 18})
    found = check(with_cells(table, "y", {10: "no"}), CLASSES, neighbours=100)
    assert rows_of(found, "outlier") == {10}
    assert not check(table, CLASSES, neighbours=100)["outlier"]


def test_without_cleanlab_wrong_classes_are_not_estimated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mammal.data_check.label_noise.find_spec", lambda _: None)
    assert "mammal[data-check]" in str(check(classes(), CLASSES, label_noise=None))
    with pytest.raises(DataError, match="cleanlab"):
        check(classes(), CLASSES, label_noise=True)


def test_confident_learning_has_a_threshold_for_each_class():
    """A class whose probabilities are low everywhere has a low threshold, so its rows are not issues."""
    given = np.array([0] * 50 + [1] * 50)
    probability = np.where(np.arange(100) < 50, 0.1, 0.45)
    probability[[3, 60]] = [0.55, 0.02]
    issues = label_issues(given, np.stack([1 - probability, probability], axis=1))
    assert set(np.flatnonzero(issues)) == {3, 60}
    assert not label_issues(given, np.stack([given == 0, given == 1], axis=1).astype(float)).any()


# Leaks


def split(table: pd.DataFrame, test: Sequence[int]) -> pd.DataFrame:
    held_out = set(test)
    return table.assign(split=["test" if row in held_out else "train" for row in range(len(table))])


def test_leaks_after_standardisation_and_near_duplicates():
    table, task = numbers(), {**NUMBERS, "data": GIVEN}
    rows = [
        {"smiles": "OCCCCc1ccc(Cl)c(CCC(=O)N)c1", "y": "1"},
        {"smiles": "c1(Cl)ccc(cc1CCC(N)=O)CCCCO", "y": "1"},
        {"smiles": "CCCCCCCCCCCCCCCCCCCCCCCC(=O)OCC", "y": "1"},
        {"smiles": "CCCCCCCCCCCCCCCCCCCCCCCCC(=O)OCC", "y": "1"},
    ]
    count = len(table)
    together = split(with_rows(table, rows), [*range(60), count + 1, count + 3])
    found = check(together, task, neighbours=10_000)
    assert rows_of(found, "leak") == {count + 1} and found["leak"][0].rows[0].other == count
    assert count + 3 in rows_of(found, "near_leak") and count + 1 not in rows_of(found, "near_leak")
    assert found["leak"][0].severity == "warning"
    many = check(split(pd.concat([table, table.head(60)], ignore_index=True), range(count, count + 60)), task)
    assert many["leak"][0].severity == "error" and many["leak"][0].count == 60


def test_sides_of_pairs_that_are_known():
    rng = random.Random(3)
    proteins = ["".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=60)) for _ in range(12)]
    drugs = molecules()[0][:12]
    rows = [(p, d, str(rng.random())) for p in proteins[:10] for d in drugs[:10]]
    rows += [(proteins[10], drugs[0], "1"), (proteins[11], drugs[11], "2"), (proteins[0], drugs[10], "3")]
    table = split(pd.DataFrame(rows, columns=["protein", "smiles", "y"]), [100, 101, 102])
    task = {**NUMBERS, "prompt": {"input": "<MASK> {protein:protein} {smiles:smiles}", "target": "{y:scalar}"}}
    found = check(table, {**task, "data": GIVEN}, neighbours=100)
    (sides,) = found["known_side"]
    assert sides.figures["share of protein"] == pytest.approx(1 / 3) == sides.figures["share of smiles"]
    assert not found["leak"]


def test_a_split_column_that_the_file_lacks_is_a_finding():
    found = check(numbers(), {**NUMBERS, "data": {"split": "given", "split_column": "fold"}})
    assert "fold" in found["no_split"][0].what and found.parts["train"] == found.rows


def test_identity_of_sequences():
    one = "".join(random.Random(5).choices("ACDEFGHIKLMNPQRSTVWY", k=300))
    other = "".join(random.Random(6).choices("ACDEFGHIKLMNPQRSTVWY", k=300))
    assert identity(one, one, "protein") == 1.0
    assert identity(one, one[:100] + "A" + one[101:], "protein") > 0.95
    assert identity(one, other, "protein") < 0.5
    dna = "".join(random.Random(7).choices("ACGT", k=4000))
    assert identity(dna, "".join(random.Random(8).choices("ACGT", k=4000)), "dna") < 0.8


# Lengths and texts


def peptides(extra: Sequence[tuple[str, str]] = ()) -> pd.DataFrame:
    rng = random.Random(2)
    rows = [
        ("".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=rng.randint(20, 60))), rng.choice(["no", "yes"]))
        for _ in range(200)
    ]
    return pd.DataFrame([*rows, *extra], columns=["sequence", "y"])


def test_rows_that_are_cut_name_the_column_and_the_loss():
    assert not check(peptides(), PEPTIDES)["too_long"]
    found = check(peptides([("ACDEFGHIKL" * 40, "no")]), PEPTIDES)
    (cut,) = found["too_long"]
    assert cut.column == "sequence" and rows_of(found, "too_long") == {200}
    assert cut.figures["limit"] == 170 and 400 < cut.figures["longest"] < 410
    assert cut.figures["median share lost"] == pytest.approx(1 - 170 / cut.figures["longest"])
    refused = check(peptides([("ACDEFGHIKL" * 40, "no")]), {**PEPTIDES, "too_long": "refuse"})
    assert "leaves these rows out" in refused["too_long"][0].meaning


def test_residues_and_bases_that_are_not_standard():
    found = check(peptides([("ACDXXXXKL", "no"), ("ACDEFU", "no")]), PEPTIDES)
    assert rows_of(found, "nonstandard_residue") == {200, 201} and "X (4)" in found["nonstandard_residue"][0].what
    rng = random.Random(4)
    windows = ["".join(rng.choices("ACGT", k=80)) for _ in range(100)] + ["ACGT" * 10 + "N" * 40]
    table = pd.DataFrame({"window": windows, "y": ["no", "yes"] * 50 + ["no"]})
    dna = {**CLASSES, "prompt": {**CLASSES["prompt"], "input": "<SENTINEL_ID_0> {window:dna}"}}
    assert rows_of(check(table, dna), "unknown_bases") == {100}


@pytest.mark.parametrize(
    ("smiles", "kind"),
    [
        ("CCCCCCCN(C)C.Cl", "mixture"),
        ("CCCCCCC[N+](C)(C)C", "charged"),
        ("CCCCC[13CH2]CO", "isotope"),
        ("CCCCC[S+](C)[O-]", "rewritten"),
        ("CCCC[C@H](C)CCCC", "lost_stereo"),
        ("CCCCC[Te]CCC", "unusual_element"),
        ("OS(=O)(=O)O", "no_carbon"),
    ],
)
def test_unusual_molecules_are_counted_by_kind(smiles: str, kind: str):
    found = check(with_rows(numbers(), [{"smiles": smiles, "y": "1"}]))
    assert rows_of(found, kind) == {len(numbers())}
    assert found[kind][0].remedy != "nothing" or kind == "rewritten"


def test_salts_that_the_task_strips_need_nothing():
    table = with_rows(numbers(), [{"smiles": "CCCCCCCN(C)C.Cl", "y": "1"}])
    assert check(table, {**NUMBERS, "standardise": {"salts": "parent"}})["mixture"][0].remedy == "nothing"


def test_stereo_marks_that_are_kept_are_not_reported():
    rows = [{"smiles": smiles, "y": "1"} for smiles in ("C[C@H](N)C(=O)OCC", "CC/C=C/CCO", "C[C@]12CCC[C@@H]1CCC2")]
    assert not check(with_rows(numbers(), rows))["lost_stereo"]


def test_numbers_of_the_input():
    rng = np.random.default_rng(0)
    pressure = [f"{value:.3f}" for value in rng.normal(1.0, 0.1, len(numbers()))]
    task = {**NUMBERS, "prompt": {"input": "<MASK> {p:scalar} {smiles:smiles}", "target": "{y:scalar}"}}
    clean = {finding.kind for finding in check(numbers(p=pressure), task).findings}
    assert not clean & {"missing_input", "extreme_input", "not_a_number"}
    pressure[3], pressure[5], pressure[9] = "", "101325", "high"
    found = check(numbers(p=pressure), task)
    assert rows_of(found, "missing_input") == {3} and rows_of(found, "extreme_input") == {5}
    assert rows_of(found, "not_a_number") == {9}


# What is given


def test_tasks_without_labels_are_checked_too():
    found = check(
        with_rows(numbers(), [{"smiles": "C1CC", "y": ""}]),
        {
            "name": "free",
            "kind": "denoising",
            "prompt": {"input": "{smiles:smiles}"},
            "data": {"split": "random"},
        },
    )
    assert rows_of(found, "unreadable") == {len(numbers())} and not found["constant_target"]


def test_wrong_use_is_explained():
    with pytest.raises(TaskError, match="no file is given"):
        mammal.check_data(NUMBERS)
    with pytest.raises(DataError, match="no column 'smiles'"):
        check(numbers().rename(columns={"smiles": "molecule"}))
    with pytest.raises(DataError, match="no rows"):
        check(numbers().head(0))


def test_a_limit_keeps_the_numbers_of_the_rows():
    bad = len(numbers()) - 1
    found = check(with_cells(numbers(), "smiles", {bad: "C1CC"}), limit=100)
    assert found.rows == 100 and found.flagged.query("kind == 'unreadable'").row.tolist() == [bad + 1]


# Outputs


TASK_FILE = """
name: mine
kind: regression
prompt: {input: "<MASK> {smiles:smiles}", target: "{y:scalar}"}
data: {split: random}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a task file and a table of 60 molecules, the last of which is not valid."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text(TASK_FILE)
    with_rows(numbers().head(59), [{"smiles": "C1CC", "y": "<b>3</b>"}]).to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path


def test_the_command_prints_and_writes_what_it_found(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["check-data", "mine.csv", "task=mine", "--config-dir", "."]) == 0
    out = capsys.readouterr().out
    assert "mine: 60 rows of mine.csv" in out and "row 60: column smiles: invalid SMILES 'C1CC'" in out
    assert out.index("warning  ") < out.index("remedy: ")
    written = folder / "data_check" / "mine"
    found = json.loads((written / "check.json").read_text())
    assert found["counts"] == {"error": 0, "warning": 2, "note": found["counts"]["note"]}
    unreadable = next(one for one in found["findings"] if one["kind"] == "unreadable")
    assert unreadable["examples"][0]["file"] == "mine.csv" and unreadable["examples"][0]["row"] == 60
    lines = pd.read_csv(written / "findings.csv", dtype=str)
    (line,) = lines[lines.kind == "unreadable"].to_dict("records")
    assert (line["row"], line["smiles"], line["severity"]) == ("60", "C1CC", "warning")
    page = (written / "check.html").read_text()
    assert "unreadable" in page and "&lt;b&gt;3" in page and "<b>3</b>" not in page and page.count("<svg") >= 2


def test_exit_codes_follow_fail_on(folder: Path):
    words = ["check-data", "mine.csv", "task=task/mine.yaml", "neighbours=0"]
    assert main([*words, "fail_on=warning"]) == 1 and main([*words, "fail_on=never"]) == 0
    assert main([*words, "fail_on=errors"]) == 2
    table = pd.read_csv("mine.csv", dtype=str).assign(y="1")
    table.to_csv("constant.csv", index=False)
    constant = ["check-data", "constant.csv", "task=task/mine.yaml", "neighbours=0"]
    assert main(constant) == 1 and main([*constant, "fail_on=never"]) == 0


def test_a_clean_table_passes_with_fail_on_warning(folder: Path):
    numbers().head(59).to_csv("clean.csv", index=False)
    assert main(["check-data", "clean.csv", "task=task/mine.yaml", "fail_on=warning", "output=out"]) == 0
    assert (folder / "out" / "check.html").is_file()


def test_wrong_command_lines(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["check-data", "mine.csv"]) == 2 and "task must be given" in capsys.readouterr().err
    assert main(["check-data", "mine.csv", "other.csv", "task=mine"]) == 2
    assert "'other.csv' is not a key=value" in capsys.readouterr().err
    assert main(["check-data", "mime.csv", "task=task/mine.yaml"]) == 1 and "mine.csv" in capsys.readouterr().err
    (folder / "kept").mkdir()
    (folder / "kept" / "findings.csv").write_text("mine")
    assert main(["check-data", "mine.csv", "task=task/mine.yaml", "output=kept"]) == 2
    assert (folder / "kept" / "findings.csv").read_text() == "mine"


def test_damaged_lines_and_several_files_keep_their_numbers(folder: Path):
    (folder / "a.csv").write_text("smiles,y\nCCO,1\nCCN,2,7\nCCCC,3\n")
    (folder / "b.csv").write_text("smiles,y\nCCCCO,1\nC1CC,2\n")
    task = {**NUMBERS, "data": {"files": {"train": "a.csv", "test": "b.csv"}, "split": "given"}}
    found = mammal.check_data(task, neighbours=0)
    places = found.flagged.query("kind == 'unreadable'")[["file", "row", "part"]].to_dict("records")
    assert {"file": "b.csv", "row": 2, "part": "test"} in places
    assert {"file": "a.csv", "row": 2, "part": "train"} in places and len(places) == 2 and found.parts["test"] == 2


def test_the_table_lists_findings_worst_first():
    found = check(with_cells(numbers(), "smiles", {3: "C1CC"}).assign(y="5"))
    severities = found.table.severity.tolist()
    assert severities == sorted(severities) and severities[0] == "error"
    assert found.table.query("kind == 'unreadable'").first_rows.item() == [4]
    assert str(found).startswith("numbers: ") and found.counts["error"] == 1
