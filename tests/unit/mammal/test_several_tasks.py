"""`task=[a,b]`: answers of several tasks next to each other, with one pass of the encoder where inputs are equal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, JobError, TaskError
from mammal.inference.from_names import OpsinReader, ReadName
from mammal.jobs import run_job
from mammal.model.model import MammalModel
from mammal.rows.batched import Refused
from mammal.tasks import build_task, load_task
from mammal.tasks.names import opsin
from mammal.tokenization import Tokenizer

SMILES = ["CCO", "C1CC", "c1ccccc1CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", "CC", "CCO", "CCN", "c1ccncc1"]
LONG, INVALID = 2, 1
SAME_PROMPT = ("melting_point", "boiling_point")
ALL = ("bbbp", "toxic", *SAME_PROMPT, "short")


@pytest.fixture(scope="module")
def bundle(small_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of tasks with the same prompt (two of labels, two of numbers), one that refuses long rows, and a generation
    task."""
    untrained = small_bundle(
        "bbbp",
        ("bbbp", {"name": "toxic"}),
        "melting_point",
        ("melting_point", {"name": "boiling_point", "unit": "°C"}),
        ("melting_point", {"name": "short", "too_long": "refuse", "max_len": {"input": 20}}),
        "molecules",
        encoder_head_layers=(),
        scalars_prediction_head={"layers": []},
        num_layers=2,
    )
    model = mammal.load(untrained, device="cpu")
    for place, name in enumerate(("melting_point", "boiling_point", "short")):
        model.tasks[name].fit([{"smiles": "CCO", "tm": "150"}, {"smiles": "CCC", "tm": str(250 + 100 * place)}])
    return model.save(tmp_path_factory.mktemp("several") / "bundle")


@pytest.fixture
def model(bundle: Path) -> mammal.Mammal:
    return mammal.load(bundle, device="cpu")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each pass of the encoder."""
    rows: list[int] = []
    encode = MammalModel.encode

    def counted(self: MammalModel, batch: Any, *rest: Any) -> Any:
        rows.append(len(batch))
        return encode(self, batch, *rest)

    monkeypatch.setattr(MammalModel, "encode", counted)
    return rows


@pytest.mark.parametrize("name", ALL)
def test_answers_are_those_of_one_task(model: mammal.Mammal, name: str) -> None:
    together = model.predict(SMILES, list(ALL))
    alone = model.predict(SMILES, name)
    for column in alone.columns.drop(["smiles", "error"]):
        if pd.api.types.is_numeric_dtype(alone[column]):
            np.testing.assert_allclose(together[f"{name}_{column}"], alone[column], rtol=1e-6)
        else:
            assert together[f"{name}_{column}"].equals(alone[column])


def test_equal_batches_have_equal_answers_to_the_bit(model: mammal.Mammal) -> None:
    together = model.predict(SMILES, list(SAME_PROMPT))
    for name in SAME_PROMPT:
        assert together[f"{name}_prediction"].equals(model.predict(SMILES, name)["prediction"])
    assert not np.allclose(together.melting_point_prediction, together.boiling_point_prediction, equal_nan=True)


def test_tasks_with_equal_inputs_share_a_pass_of_the_encoder(model: mammal.Mammal, passes: list[int]) -> None:
    model.predict(SMILES, ["bbbp", "melting_point", "toxic", "boiling_point"])
    assert passes == [5, 5], "one for the two tasks of labels, one for the two of numbers; CCO is computed once"


def test_a_task_that_refuses_a_row_has_a_pass_of_its_own(model: mammal.Mammal, passes: list[int]) -> None:
    model.predict(SMILES, ["melting_point", "short", "boiling_point"])
    assert sorted(passes) == [4, 5]


def test_a_prompt_is_encoded_once(model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode_batch = Tokenizer.encode_batch

    def counted(self: Tokenizer, prompts: Any, **how: Any) -> Any:
        listed = list(prompts)
        encoded.extend(prompt.input for prompt in listed)
        return encode_batch(self, listed, **how)

    monkeypatch.setattr(Tokenizer, "encode_batch", counted)
    model.predict(SMILES, list(SAME_PROMPT))
    assert len(encoded) == len(set(encoded)) == 5


def test_a_row_keeps_the_answers_of_tasks_that_can_read_it(
    model: mammal.Mammal, caplog: pytest.LogCaptureFixture
) -> None:
    found = model.predict(SMILES, ["melting_point", "short"])
    assert list(found.columns) == [
        "smiles",
        "melting_point_prediction",
        "melting_point_error",
        "short_prediction",
        "short_error",
        "error",
    ]
    row = found.loc[LONG]
    assert np.isfinite(row.melting_point_prediction) and np.isnan(row.short_prediction) and pd.isna(row.error)
    assert "more tokens than its limit" in row.short_error and pd.isna(row.melting_point_error)
    assert "task short has no answer to some rows" in caplog.text and "short_error" in caplog.text


def test_a_row_that_no_task_can_read_has_every_reason(model: mammal.Mammal) -> None:
    row = model.predict(SMILES, ["melting_point", "short"]).loc[INVALID]
    assert row.error.startswith("melting_point, short: column smiles: invalid SMILES 'C1CC'")
    assert row.drop(["smiles", "error"]).isna().all()


def test_tasks_that_refuse_a_row_for_different_reasons(small_bundle: Callable[..., Path]) -> None:
    model = mammal.load(small_bundle("bbbp", "psi_solubility"), device="cpu")
    found = model.predict([{"smiles": "C1CC", "sequence": ""}], ["bbbp", "psi_solubility"])
    assert found.error[0].startswith("bbbp: column smiles: invalid SMILES") and "; psi_solubility: " in found.error[0]


def test_generated_answers_stand_next_to_others(model: mammal.Mammal) -> None:
    rows = [{"smiles": smiles} for smiles in ("CCO", "C1CC", "CC")]
    found = model.predict(rows, ["bbbp", "molecules"])
    alone = model.predict(rows, "molecules")
    assert found["molecules_text"].equals(alone["text"]) and found.error.isna().all()
    assert found.bbbp_error.notna().tolist() == [False, True, False]


def test_all_tasks_with_labels_or_numbers(model: mammal.Mammal) -> None:
    columns = model.predict(["CCO"], "all").columns
    assert {f"{name}_prediction" for name in ALL} <= {*columns} and not any("molecules" in name for name in columns)
    alone = mammal.Mammal(model.model, model.tokenizer, [model.tasks["molecules"]])
    with pytest.raises(TaskError, match="no task of labels or numbers"):
        alone.predict(["CCO"], "all")


def test_a_task_of_this_name_is_meant(small_bundle: Callable[..., Path]) -> None:
    model = mammal.load(small_bundle(("bbbp", {"name": "all"})), device="cpu")
    assert "prediction" in model.predict(["CCO"], "all")


def test_tasks_that_cannot_be_put_together(model: mammal.Mammal) -> None:
    with pytest.raises(ConfigError, match="named twice"):
        model.predict(["CCO"], ["bbbp", "bbbp"])
    with pytest.raises(TaskError, match="empty"):
        model.predict(["CCO"], [])
    with pytest.raises(TaskError, match="unknown task 'bbb'"):
        model.predict(["CCO"], ["bbbp", "bbb"])
    with pytest.raises(DataError, match="already has a column 'bbbp_error'"):
        model.predict(pd.DataFrame({"smiles": ["CCO"], "bbbp_error": [1]}), ["bbbp", "toxic"])
    assert "x_bbbp_error" in model.predict(pd.DataFrame({"smiles": ["CCO"], "bbbp_error": [1]}), ["bbbp"], prefix="x_")


def test_columns_of_the_users_table(model: mammal.Mammal, small_bundle: Callable[..., Path]) -> None:
    table = pd.DataFrame({"structure_1": ["CCO"], "structure_2": ["CCCCN"]})
    expected = model.predict(["CCCCN"], "bbbp").probability
    found = model.predict(table, ["bbbp", "melting_point"], columns={"smiles": "structure_2"})
    np.testing.assert_allclose(found.bbbp_probability, expected, rtol=1e-6)
    with pytest.raises(ConfigError, match="no task has a column 'smile'"):
        model.predict(table, ["bbbp", "melting_point"], columns={"smile": "structure_2"})
    with pytest.raises(DataError, match="task bbbp: no column 'smiles'"):
        model.predict(pd.DataFrame({"x": ["CCO"]}), ["bbbp", "melting_point"])


def test_tasks_never_read_a_column_for_one_another(small_bundle: Callable[..., Path]) -> None:
    def named(name: str, column: str) -> tuple[str, dict[str, Any]]:
        return "bbbp", {"name": name, "data": {"columns": {"smiles": column}}}

    model = mammal.load(small_bundle(named("one", "drug"), named("two", "ligand")), device="cpu")
    both = pd.DataFrame({"drug": ["CCO"], "ligand": ["CCCCN"]})
    with pytest.raises(DataError, match="one reads column 'drug', and two column 'ligand'"):
        model.predict(both, ["one", "two"])
    found = model.predict(both, ["one", "two"], columns={"smiles": "ligand"})
    np.testing.assert_allclose(found.one_probability, model.predict(["CCCCN"], "one").probability, rtol=1e-6)


def test_molecules_by_name(model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def read(self: OpsinReader, names: Sequence[str]) -> list[ReadName | Refused]:
        asked.append(list(names))
        return [ReadName("CCO") if name == "ethanol" else Refused("OPSIN: nothing") for name in names]

    monkeypatch.setattr(OpsinReader, "read", read)
    monkeypatch.setattr(opsin, "why_missing", lambda: None)
    found = model.predict(pd.DataFrame({"title": ["ethanol", "foo"]}), ["bbbp", "melting_point"], names="title")
    assert asked == [["ethanol", "foo"]], "names are read once for all tasks"
    assert found.smiles_read[0] == "CCO" and "OPSIN: nothing" in found.error[1]
    np.testing.assert_allclose(found.bbbp_probability[0], model.predict(["CCO"], "bbbp").probability[0], rtol=1e-6)


def test_progress_counts_rows(model: mammal.Mammal) -> None:
    seen: list[int] = []
    model.predict(SMILES, ["bbbp", "melting_point", "short", "toxic"], progress=seen.append)
    assert sum(seen) == len(SMILES) and len(seen) > 1


def test_probes_and_heads_share_a_pass(bundle: Path, passes: list[int]) -> None:
    """`melting_point` keeps its head; the two other tasks of this prompt have probes."""
    from mammal.tasks.probes.task_probes import TaskProbes

    model = mammal.load(bundle, device="cpu")
    rows = [{"smiles": "C" * (i % 9 + 1) + "O" * (i % 4), "tm": str(200 + 7 * i)} for i in range(30)]
    task = model.tasks["boiling_point"]
    model.tasks["third"] = build_task(load_task(task.config, {"name": "third"}), model.tokenizer)
    model.tasks["third"].load_state(task.state())
    for name in ("boiling_point", "third"):
        probed = model.tasks[name]
        probed.probes = TaskProbes(probed)
        batch = probed.collate([probed.encode(row) for row in rows])
        vectors_NF = probed.probes.reader.vectors(model.model(batch), batch)
        vectors_NF = vectors_NF if name == "third" else vectors_NF[::-1].copy()
        probed.probes.fit(vectors_NF, vectors_NF[:0], probed.probe_columns(rows), "linear", 1)
    names = ["melting_point", "boiling_point", "third"]
    passes.clear()
    found = model.predict(SMILES, names)
    assert passes == [5]
    for name in names:
        np.testing.assert_array_equal(found[f"{name}_prediction"], model.predict(SMILES, name).prediction)
    assert not np.allclose(found.third_prediction, found.boiling_point_prediction, equal_nan=True)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pd.DataFrame({"id": range(len(SMILES)), "smiles": SMILES}).to_csv(tmp_path / "library.csv", index=False)
    return tmp_path / "library.csv"


def test_a_job_records_its_tasks(bundle: Path, table: Path, tmp_path: Path, model: mammal.Mammal) -> None:
    report = run_job("predict", bundle, table, tmp_path / "out.csv", task=list(ALL), shard_rows=3)
    assert (report.rows, report.ok, report.bad) == (len(SMILES), len(SMILES) - 1, 1)
    written, expected = pd.read_csv(report.output), model.predict(SMILES, list(ALL))
    np.testing.assert_allclose(written.short_prediction, expected.short_prediction, rtol=1e-5)
    assert written.columns.drop("id").tolist() == expected.columns.tolist()
    assert pd.read_csv(report.errors).error[0].startswith(", ".join(ALL) + ": column smiles")
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())
    assert [text.split()[0] for text in manifest["options"]["task"]] == list(ALL)
    assert manifest["meanings"]["boiling_point_prediction"] == "°C"
    assert run_job("predict", bundle, table, tmp_path / "out.csv", task=list(ALL), shard_rows=3).resumed == len(SMILES)
    with pytest.raises(JobError, match="task was"):
        run_job("predict", bundle, table, tmp_path / "out.csv", task=["bbbp"], shard_rows=3)


def test_rows_are_encoded_in_other_processes_with_the_same_bytes(bundle: Path, table: Path, tmp_path: Path) -> None:
    written = []
    for workers in (0, 2):
        output = tmp_path / f"{workers}.csv"
        run_job("predict", bundle, table, output, task=[*ALL, "molecules"], shard_rows=3, workers=workers)
        written.append(output.read_bytes())
    assert written[0] == written[1]


def test_lists_are_for_predict(bundle: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="score takes one task"):
        run_job("score", bundle, table, tmp_path / "out.csv", task=["bbbp", "toxic"])


def test_the_command_line(bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.csv"
    words = ["predict", f"bundle={bundle}", f"input={table}", "device=cpu"]
    assert main([*words, "task=[bbbp, boiling_point]", f"output={output}"]) == 3
    assert {"bbbp_prediction", "boiling_point_prediction", "boiling_point_error"} <= {*pd.read_csv(output).columns}
    assert "boiling_point_prediction: °C" in capsys.readouterr().err
    assert main([*words, "task=all"]) == 3
    header = capsys.readouterr().out.splitlines()[0]
    assert "toxic_probability" in header and "molecules" not in header
