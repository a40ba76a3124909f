"""`mammal new-task`: writes a task for a file by inspecting its columns, and the task can be trained."""

from __future__ import annotations

import random
import shlex
from pathlib import Path

import pytest
import yaml

from mammal.cli import main
from mammal.commands.guess_columns import name_and_unit
from mammal.commands.guess_task import Guess, guess_task
from mammal.errors import DataError
from mammal.tasks.data import load_data
from mammal.tasks.declaration.registry import load_task

CHAINS = ["C" * n + tail for n in range(1, 31) for tail in ("O", "N")]
RINGS = [f"C1{'C' * n}1{tail}" for n in range(1, 31) for tail in ("O", "N")]


def table(folder: Path, columns: dict[str, list[object]]) -> Path:
    file = folder / "my data.csv"
    lines = [",".join(f'"{cell}"' for cell in row) for row in zip(*columns.values(), strict=True)]
    file.write_text("\n".join([",".join(f'"{name}"' for name in columns), *lines]) + "\n")
    return file


def protein(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACDEFGHIKLMNPQRSTVWY", k=length))


def test_units_come_off_column_names():
    assert name_and_unit("IC50 (nM)") == ("IC50", "nM")
    assert name_and_unit("clearance [ml/min/kg]") == ("clearance", "ml/min/kg")
    assert name_and_unit("tm / K") == ("tm", "K")
    assert name_and_unit("p_np") == ("p_np", "") and name_and_unit("(nM)") == ("(nM)", "")


def test_numbers_with_bounds_units_and_orders_of_magnitude(tmp_path: Path):
    values = [">10000" if i % 10 == 0 else "" if i % 7 == 0 else str(10 ** (i % 5) * 1.5) for i in range(60)]
    file = table(tmp_path, {"id": list(range(60)), "SMILES": RINGS, "IC50 (nM)": values})
    guess = guess_task(file)
    declared = yaml.safe_load(guess.yaml())
    assert declared["prompt"] == {"input": "<MASK> {SMILES:smiles}", "target": "{IC50:scalar}"}
    assert declared["unit"] == "nM" and declared["scale"] == {"log": True}
    assert declared["data"]["columns"] == {"IC50": "IC50 (nM)"} and declared["data"]["split"] == "scaffold"
    reported = "\n".join(guess.decisions)
    assert "6 cells are bounds" in reported and "cells are empty" in reported and "not used: id" in reported


def test_several_label_columns_become_several_labels(tmp_path: Path):
    rare = ["1" if i == 5 else "0" for i in range(60)]
    columns = {"smiles": CHAINS, "NR-AR": ["0", "1"] * 30, "sr-p53": rare, "source": ["lab"] * 60}
    guess = guess_task(table(tmp_path, columns))
    declared = yaml.safe_load(guess.yaml())
    assert declared["prompt"]["target"] == "<SENTINEL_ID_0> {nr_ar:label} <SENTINEL_ID_1> {sr_p53:label}"
    assert declared["labels"] == ["0", "1"]
    assert any("rare" in line for line in guess.decisions)
    one = guess_task(guess.file, target="sr-p53")
    assert [column.name for column in one.targets] == ["sr-p53"]


def test_several_numbers_become_several_targets_with_their_units(tmp_path: Path):
    numbers = [i * 1.5 for i in range(60)]
    file = table(tmp_path, {"smiles": CHAINS, "logD": numbers, "clearance [ml/min]": numbers})
    declared = yaml.safe_load(guess_task(file).yaml())
    assert declared["prompt"] == {"input": "<MASK><MASK> {smiles:smiles}", "target": "{logD:scalar} {clearance:scalar}"}
    assert declared["unit"] == {"clearance": "ml/min"}


def test_pairs_of_molecule_and_protein_and_of_two_proteins(tmp_path: Path):
    proteins = [protein(80, i) for i in range(60)]
    numbers = [i / 7 for i in range(60)]
    mixed = guess_task(table(tmp_path, {"drug": CHAINS, "target": proteins, "y": numbers}))
    assert [c.entity for c in mixed.inputs] == ["smiles", "protein"] and mixed.split == {"split": "random"}
    assert any("split: cold" in line for line in mixed.decisions)
    two = guess_task(table(tmp_path, {"a": proteins, "b": proteins[::-1], "binds": ["yes", "no"] * 30}))
    assert [c.entity for c in two.inputs] == ["protein", "protein"] and two.labels == ("no", "yes")
    chains = {"VH": proteins, "VL": proteins, "antigen": proteins, "kd": numbers}
    assert [c.entity for c in guess_task(table(tmp_path, chains)).inputs] == [
        "antibody_heavy",
        "antibody_light",
        "antigen",
    ]


def test_dna_with_variants_in_place_and_a_split_or_fold_of_the_file(tmp_path: Path):
    windows = [f"ACGTTGCAAC[{'A/G' if i % 2 else '-/AT'}]GGTTACCA{'ACGT'[i % 4]}" for i in range(60)]
    parts = ["train"] * 40 + ["valid"] * 10 + ["test"] * 10
    guess = guess_task(table(tmp_path, {"window": windows, "my set": parts, "effect": [i / 9 for i in range(60)]}))
    assert guess.inputs[0].entity == "dna"
    assert yaml.safe_load(guess.yaml())["data"]["split_column"] == "my set"
    folds = guess_task(table(tmp_path, {"s": CHAINS, "cv_fold": [i % 5 for i in range(60)], "y": ["a", "b"] * 30}))
    assert folds.split == {"split": "fold", "split_column": '"cv_fold"'}


def test_what_cannot_be_a_task_is_reported(tmp_path: Path):
    with pytest.raises(DataError, match="no column contains molecules"):
        guess_task(table(tmp_path, {"name": ["x y z"] * 30, "y": [1, 2] * 15}))
    file = table(tmp_path, {"smiles": CHAINS, "y": [i * 0.7 for i in range(60)], "z": ["0", "1"] * 30})
    with pytest.raises(DataError, match="no column 'zz'"):
        guess_task(file, target="zz")
    with pytest.raises(DataError, match="can't be targets of one task"):
        guess_task(file, target="y,z")
    with pytest.raises(DataError, match="neither labels nor numbers"):
        guess_task(file, target="smiles")


def test_molecules_of_one_scaffold_are_not_split_by_it(tmp_path: Path):
    guess = guess_task(table(tmp_path, {"smiles": CHAINS, "y": ["0", "1"] * 30}))
    assert guess.split == {"split": "random"} and any("share a scaffold" in line for line in guess.decisions)


def test_a_file_that_could_not_be_used_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = table(tmp_path, {"smiles": RINGS, "y": [i * 0.7 for i in range(60)]})
    assert main(["new-task", file.name, "output=task/mine"]) == 2
    assert "output=task/mine.yaml" in capsys.readouterr().err
    text = guess_task(file).yaml()
    with monkeypatch.context() as patched:
        patched.setattr(Guess, "yaml", lambda self: text.replace("about:", "abuot:"))
        assert main(["new-task", file.name, "output=task/mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert "abuot" in said and "which was not written" in said and not Path("task").exists()
    assert main(["new-task", file.name, "output=task/mine.yaml"]) == 0
    assert [path.name for path in Path("task").iterdir()] == ["mine.yaml"]
    before = Path("task/mine.yaml").read_bytes()
    assert main(["new-task", file.name, "output=task/mine.yaml"]) == 2 and Path("task/mine.yaml").read_bytes() == before


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_the_written_file_trains(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    if kind == "labels":
        columns = {"Structure": CHAINS, "hERG block": ["0", "1"] * 30, "Nav-1.5": ["0", "1", "", "1", "0", "0"] * 10}
    else:
        columns = {"Structure": CHAINS, "IC50 (nM)": [">30000" if i % 9 == 0 else i + 0.5 for i in range(60)]}
    file = table(tmp_path, columns)
    assert main(["new-task", file.name, "name=mine"]) == 0
    assert load_task("task/mine.yaml").name == "mine"
    settings = ["model=debug", "debug=limit", "test=false", "output=run"]
    assert main(["train", "--config-dir", ".", "task=mine", *settings]) == 0
    assert (tmp_path / "run" / "bundle" / "task.yaml").is_file()


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (["active", "inactive"], "active"),
        (["binder", "non-binder"], "binder"),
        (["toxic", "nontoxic"], "toxic"),
        (["yes", "no"], "yes"),
    ],
)
def test_the_positive_class_is_a_matter_of_the_words(labels: list[str], positive: str, tmp_path: Path):
    guess = guess_task(table(tmp_path, {"smiles": CHAINS, "y": labels * 30}))
    assert yaml.safe_load(guess.yaml())["labels"][-1] == positive
    assert f"  positive: {positive}" in guess.decisions


def test_labels_that_are_missing_or_the_same_are_no_classes_of_their_own(tmp_path: Path):
    missing = guess_task(table(tmp_path, {"smiles": CHAINS, "y": ["1", "0", "NA"] * 20}))
    assert missing.labels == ("0", "1") and missing.targets[0].missing == 20
    same = guess_task(table(tmp_path, {"smiles": CHAINS, "y": ["1", "0", "1", "0", "1.0", "0.0"] * 10}))
    assert same.labels == ("0", "1") and any("also written 0.0, 1.0" in line for line in same.decisions)
    words = guess_task(table(tmp_path, {"smiles": CHAINS, "y": ["Yes", "no", "no", "yes", "yes", "n.d."] * 10}))
    assert words.labels == ("no", "yes")
    numbers = guess_task(table(tmp_path, {"smiles": CHAINS, "y": [*(i * 0.7 for i in range(30)), *["NA"] * 30]}))
    assert numbers.targets[0].holds == "numbers" and numbers.targets[0].unreadable == 0
    assert guess_task(table(tmp_path, {"smiles": CHAINS, "y": ["+", "-"] * 30})).labels == ("-", "+")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("2024", "task_2024"), ("nan", "task_nan"), ("Löslichkeit 3", "loslichkeit_3"), ("1e5", "task_1e5")],
)
def test_the_command_that_is_printed_finds_the_task(stem: str, name: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    table(tmp_path, {"smiles": CHAINS, "y": ["0", "1"] * 30}).rename(tmp_path / f"{stem}.csv")
    assert main(["new-task", f"{stem}.csv"]) == 0
    command = shlex.split(capsys.readouterr().out.splitlines()[-1].partition("then: ")[2])
    assert command == ["mammal", "train", "--config-dir", ".", f"task={name}"]
    assert main([*command[1:], "--cfg"]) == 0


def test_a_name_that_training_can_not_find_is_refused(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = table(tmp_path, {"smiles": CHAINS, "y": ["0", "1"] * 30})
    assert main(["new-task", file.name, "name=2024"]) == 2
    assert "name=task_2024" in capsys.readouterr().err
    assert main(["new-task", file.name, "output=task/2024.yaml"]) == 2
    assert not Path("task").exists()
    assert main(["new-task", file.name, "output=elsewhere/mine.yaml"]) == 0
    assert "output=task/mine.yaml" in capsys.readouterr().out


def test_a_task_of_the_package_gives_way_to_the_users_of_its_name(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    table(tmp_path, {"smiles": CHAINS, "y": [i * 0.7 for i in range(60)]}).rename(tmp_path / "melting_point.csv")
    assert main(["new-task", "melting_point.csv"]) == 0
    assert "yours is used" in capsys.readouterr().err
    assert main(["train", "--config-dir", ".", "task=melting_point", "--cfg"]) == 0
    assert "path: melting_point.csv" in capsys.readouterr().out


def test_a_second_run_replaces_the_file_where_that_is_said(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = table(tmp_path, {"smiles": CHAINS, "y": ["0", "1"] * 30, "z": [i * 0.7 for i in range(60)]})
    assert main(["new-task", file.name, "target=z"]) == 0
    assert main(["new-task", file.name, "target=y"]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert main(["new-task", file.name, "target=y", "overwrite=true"]) == 0
    assert load_task("task/my_data.yaml").labels == ["0", "1"]
    assert Path("task/my_data.yaml").read_text().startswith("# Written by `mammal new-task 'my data.csv' target=y`.")
    assert main(["new-task", file.name, "overwrite=yes!"]) == 2


def test_many_targets_are_listed_and_not_taken(tmp_path: Path):
    columns = {f"y{k}": [i * 0.7 + k for i in range(60)] for k in range(4)}
    file = table(tmp_path, {"smiles": CHAINS, **columns})
    with pytest.raises(DataError, match="4 columns could be targets: y0, y1, y2, y3") as error:
        guess_task(file)
    assert "target=y0,y1,y2,y3" in error.value.hint
    assert len(guess_task(file, "y0,y1,y2,y3").targets) == 4


def test_a_fasta_file_has_nothing_to_learn(tmp_path: Path):
    file = tmp_path / "proteins.fasta"
    file.write_text(">a\nMKVLAA\n")
    with pytest.raises(DataError, match="no labels") as error:
        guess_task(file)
    assert "input=FASTA" in error.value.hint


@pytest.mark.parametrize(("valid", "share"), [(False, 0.1), (True, None)])
def test_a_published_split_without_validation_rows_gives_some_of_train(valid: bool, share, tmp_path: Path):
    parts = ["train"] * 40 + (["valid"] * 5 if valid else ["train"] * 5) + ["test"] * 15
    guess = guess_task(table(tmp_path, {"smiles": CHAINS, "split": parts, "y": ["0", "1"] * 30}))
    assert yaml.safe_load(guess.yaml())["data"].get("valid_share") == share
    assert any("valid_share" in line for line in guess.decisions) == (share is not None)


def test_numbers_over_orders_of_magnitude_are_judged_on_their_logarithms_too(tmp_path: Path):
    guess = guess_task(table(tmp_path, {"smiles": CHAINS, "ic50": [10 ** (i % 6) * 1.5 for i in range(60)]}))
    assert {"rmse", "rmse_log10", "r2_log10"} <= set(yaml.safe_load(guess.yaml())["metrics"])


def printed_command(out: str) -> list[str]:
    return shlex.split(out.partition("then: ")[2].splitlines()[0])


@pytest.mark.parametrize("whole", [True, False])
def test_the_printed_command_works_in_another_folder_if_the_task_is_written_elsewhere(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for folder in ("here", "there", "else"):
        (tmp_path / folder).mkdir()
    file = table(tmp_path / "here", {"smiles": CHAINS, "y": [n * 1.5 for n in range(60)]})
    monkeypatch.chdir(tmp_path / "here")
    given = str(file) if whole else file.name
    assert main(["new-task", given, f"output={tmp_path / 'there' / 'task' / 'mine.yaml'}"]) == 0
    out = capsys.readouterr().out
    assert ("the whole path" in out) is not whole
    monkeypatch.chdir(tmp_path / "else")
    words = ["model=debug", "trainer.max_steps=1", "test=false", "output=run"]
    assert main([*printed_command(out)[1:], *words]) == 0


def test_a_relative_path_stays_if_the_task_is_written_here(tmp_path: Path, monkeypatch, capsys):
    file = table(tmp_path, {"smiles": CHAINS, "y": [n * 1.5 for n in range(60)]})
    monkeypatch.chdir(tmp_path)
    assert main(["new-task", file.name]) == 0
    assert yaml.safe_load(Path("task/my_data.yaml").read_text())["data"]["path"] == file.name
    assert printed_command(capsys.readouterr().out)[2:4] == ["--config-dir", "."]
    assert main(["new-task", str(file), "overwrite=true"]) == 0
    assert printed_command(capsys.readouterr().out)[2:4] == ["--config-dir", str(tmp_path)]


def test_a_table_in_another_encoding(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"{smiles},{n * 1.5}" for n, smiles in enumerate(CHAINS)]
    Path("t.csv").write_text("\n".join(["smiles,temp (°C)", *lines]) + "\n", encoding="latin-1")
    assert main(["new-task", "t.csv"]) == 1 and "encoding, such as latin-1" in capsys.readouterr().err
    assert main(["new-task", "t.csv", "encoding=latn-1"]) == 1 and "did you mean" in capsys.readouterr().err
    assert main(["new-task", "t.csv", "encoding=latin-1"]) == 0
    config = load_task("task/t.yaml")
    assert config.data.encoding == "latin-1" and config.unit == "°C"
    assert "encoding=latin-1" in Path("task/t.yaml").read_text().splitlines()[0]
    assert load_data(config).frame["temp"].tolist()[:2] == ["0.0", "1.5"]


def test_a_target_that_is_named_is_predicted_whatever_its_column_looks_like(tmp_path: Path):
    columns = {"smiles": CHAINS, "rank_num": list(range(60)), "fold_change": [n % 5 * 1.5 for n in range(60)]}
    file = table(tmp_path, columns)
    for target in ("rank_num", "fold_change"):
        guess = guess_task(file, target)
        assert [column.name for column in guess.targets] == [target] and guess.targets[0].holds == "numbers"
    assert guess_task(file, "rank_num").split["split_column"] == '"fold_change"'


def test_a_column_that_shares_its_name_with_a_unit_gets_a_number_behind_it(tmp_path: Path):
    columns = {"smiles": CHAINS, "IC50": [n * 1.25 for n in range(60)], "IC50 (nM)": [n * 1.5 for n in range(60)]}
    declared = yaml.safe_load(guess_task(table(tmp_path, columns), "IC50 (nM)").yaml())
    assert declared["data"]["columns"] == {"IC50_2": "IC50 (nM)"}


def test_shares_with_a_few_small_values_are_no_logarithms(tmp_path: Path):
    shares = [0.0005, *(i / 60 for i in range(1, 60))]
    guess = yaml.safe_load(guess_task(table(tmp_path, {"smiles": CHAINS, "share": shares})).yaml())
    assert "scale" not in guess and "rmse_log10" not in guess.get("metrics", [])
