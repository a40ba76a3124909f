"""`names=`: predictions for molecules that a table contains by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, TaskError
from mammal.inference import predict
from mammal.inference.from_names import OpsinReader, ReadName
from mammal.jobs import run_job
from mammal.rows.batched import Refused
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.names import opsin

KNOWN = {"ethanol": "CCO", "propan-2-ol": "CC(C)O"}


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """OPSIN as a dictionary; the lists of names that it was asked."""
    asked: list[list[str]] = []

    def read(self: OpsinReader, names: Sequence[str]) -> list[ReadName | Refused]:
        asked.append(list(names))
        known = {name: ReadName(smiles) for name, smiles in KNOWN.items()}
        return [known.get(name) or Refused("OPSIN: it is uninterpretable") for name in names]

    monkeypatch.setattr(OpsinReader, "read", read)
    monkeypatch.setattr(opsin, "why_missing", lambda: None)
    return asked


@pytest.fixture
def no_opsin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opsin, "why_missing", lambda: DataError("reading names needs Java", hint="install Java"))


@pytest.fixture
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle, device="cpu")


TABLE = pd.DataFrame(
    {
        "smiles": ["c1ccccc1", None, "", None, None],
        "iupac_name": ["benzene", "ethanol", "propan-2-ol", "gibberish", None],
    },
    index=[5, 6, 7, 8, 9],
)


def test_molecules_without_a_smiles_are_read_from_their_names(model: mammal.Mammal, reading: list[list[str]]):
    found = model.predict(TABLE, "bbbp", names="iupac_name", prefix="m_")
    assert list(found.columns) == [*TABLE.columns, "m_smiles_read", "m_prediction", "m_probability", "m_error"]
    assert list(found.index) == list(TABLE.index)
    assert found["m_smiles_read"].fillna("").tolist() == ["", "CCO", "CC(C)O", "", ""]
    assert reading == [["ethanol", "propan-2-ol", "gibberish"]], "the row with a SMILES keeps it"
    by_smiles = model.predict(["c1ccccc1", "CCO", "CC(C)O"], "bbbp")["probability"]
    assert found["m_probability"].tolist()[:3] == pytest.approx(by_smiles.tolist(), abs=1e-6)
    errors = found["m_error"].tolist()[3:]
    assert errors[0] == "column iupac_name: 'gibberish': OPSIN: it is uninterpretable"
    assert errors[1] == "columns smiles and iupac_name: neither a SMILES nor a name"


def test_a_list_of_names_and_names_that_repeat(model: mammal.Mammal, reading: list[list[str]]):
    found = model.predict(["ethanol", "ethanol"], "melting_point", names="iupac")
    assert found["smiles_read"].tolist() == ["CCO", "CCO"] and reading == [["ethanol"]]
    assert found["iupac"].tolist() == ["ethanol", "ethanol"]


def test_a_column_of_another_name_may_hold_the_smiles(model: mammal.Mammal, reading: list[list[str]]):
    table = TABLE.rename(columns={"smiles": "structure"}).iloc[:2]
    found = model.predict(table, "bbbp", columns={"smiles": "structure"}, names="iupac_name")
    assert found["error"].isna().all() and reading == [["ethanol"]]


def test_a_table_of_names_alone_gets_a_hint_with_the_option(model: mammal.Mammal):
    with pytest.raises(DataError) as caught:
        model.predict(TABLE[["iupac_name"]], "bbbp")
    assert caught.value.hint == "names=iupac_name"
    with pytest.raises(DataError) as caught:
        model.predict(TABLE[["iupac_name"]].rename(columns={"iupac_name": "comment"}), "bbbp")
    assert "names=" not in str(caught.value)


def test_a_column_of_names_that_is_not_there_is_an_error(model: mammal.Mammal, reading: list[list[str]]):
    with pytest.raises(DataError, match="no column 'iupac_nam'") as caught:
        model.predict(TABLE, "bbbp", names="iupac_nam")
    assert "iupac_name" in str(caught.value.hint)


def test_what_the_model_refuses_after_reading_says_what_was_read(
    model: mammal.Mammal, reading: list[list[str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(KNOWN, "odd", "[Xx]")
    (error,) = model.predict(["odd"], "bbbp", names="iupac")["error"]
    assert "invalid SMILES" in error and error.endswith("(the name was read as [Xx])")


def test_without_opsin_the_bundles_own_task_reads_names(
    model: mammal.Mammal, no_opsin: None, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(DataError, match="reading names needs Java") as caught:
        model.predict(TABLE, "bbbp", names="iupac_name")
    assert "iupac_to_smiles" in caught.value.hint and "install Java" in caught.value.hint
    own = build_task(load_task("iupac_to_smiles"), model.tokenizer)
    model.tasks[own.name] = own
    inner = predict.predict_rows

    def answer(net, task, rows, *, ranks=1, **how):
        if task is not own:
            return inner(net, task, rows, **how)
        assert ranks == 5
        said = [[text, KNOWN.get(row["iupac"], "C(")] for row in rows for text in ["CC("]]
        return [Prediction(i, text=one, runners_up=(Prediction(i, text=two),)) for i, (one, two) in enumerate(said)]

    monkeypatch.setattr(predict, "predict_rows", answer)
    found = model.predict(TABLE, "bbbp", names="iupac_name")
    assert found["smiles_read"].tolist()[1:3] == ["CCO", "CC(C)O"], "the first answer is no molecule, the second is"
    assert "iupac_to_smiles wrote no molecule" in found["error"].tolist()[3]
    with pytest.raises(DataError, match="needs Java"):
        model.predict(TABLE, "bbbp", names="iupac_name", names_by="opsin")


def test_a_model_with_random_weights_reads_names_end_to_end(model: mammal.Mammal):
    changes = {"generation": {"num_beams": 2, "max_new_tokens": 12}, "metrics": ["validity"]}
    model.tasks["iupac_to_smiles"] = build_task(load_task("iupac_to_smiles", changes), model.tokenizer)
    found = model.predict(["ethanol"], "bbbp", names="iupac", names_by="model")
    assert found["smiles_read"].notna().tolist() == found["error"].isna().tolist()


def test_names_are_refused_where_they_have_no_place(model: mammal.Mammal, reading: list[list[str]]):
    with pytest.raises(ConfigError, match="names_by can't be 'opsim'"):
        model.predict(TABLE, "bbbp", names="iupac_name", names_by="opsim")
    with pytest.raises(ConfigError, match="must be the name of one column"):
        model.predict(TABLE, "bbbp", names=["iupac_name"])
    with pytest.raises(ConfigError, match="names_by needs a column of names"):
        model.predict(TABLE, "bbbp", names_by="opsin")
    with pytest.raises(TaskError, match="no task iupac_to_smiles"):
        model.predict(TABLE, "bbbp", names="iupac_name", names_by="model")
    with pytest.raises(TaskError, match="reads no molecule"):
        model.predict(TABLE, "psi_solubility", names="iupac_name")


def test_a_batch_job_reads_names_shard_by_shard_and_its_manifest_says_by_whom(
    tiny_bundle: Path, reading: list[list[str]], tmp_path: Path
):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    TABLE.to_csv(source, index=False)
    options = {"names": "iupac_name", "names_by": "auto"}
    report = run_job("predict", tiny_bundle, source, output, task="bbbp", options=options, shard_rows=2, device="cpu")
    assert (report.rows, report.ok, report.bad, report.exit_code) == (5, 3, 2, 3)
    assert reading == [["ethanol"], ["propan-2-ol", "gibberish"]]
    found = pd.read_csv(output)
    assert list(found.columns) == ["smiles", "iupac_name", "smiles_read", "prediction", "probability", "error"]
    assert found["smiles_read"].tolist()[1:3] == ["CCO", "CC(C)O"] and found["smiles_read"][3:].isna().all()
    errors = pd.read_csv(report.errors)
    assert errors["row"].tolist() == [4, 5] and "gibberish" in errors["error"][0]
    (manifest,) = [f for f in tmp_path.rglob("*.json") if "names_by" in f.read_text()]
    reported = json.loads(manifest.read_text())["options"]
    assert reported["names"] == "iupac_name" and reported["names_by"].startswith("opsin of py2opsin ")


def test_the_command_line_takes_a_column_of_names(
    tiny_bundle: Path, reading: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    TABLE[["iupac_name"]].iloc[1:3].to_csv(tmp_path / "in.csv", index=False)
    words = ["predict", f"bundle={tiny_bundle}", "task=bbbp", f"input={tmp_path / 'in.csv'}", "device=cpu"]
    assert main([*words, "names=iupac_name"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "iupac_name,smiles_read,prediction,probability,error" and out[1].startswith("ethanol,CCO,")
    assert main(words) != 0
    assert "names=iupac_name" in capsys.readouterr().err


def test_opsin_reads_names(model: mammal.Mammal):
    if (why := opsin.why_missing()) is not None:
        pytest.skip(str(why))
    found = model.predict(["propan-2-ol", "nonsense"], "bbbp", names="iupac", names_by="opsin")
    assert found["smiles_read"].tolist()[0] == "CC(C)O" and "OPSIN: " in found["error"].tolist()[1]


def test_a_prompt_that_shows_names_gets_them_as_they_are(model: mammal.Mammal, no_opsin: None):
    declared = {
        "name": "either",
        "kind": "classification",
        "prompt": {"input": "<SENTINEL_ID_0> {mol:molecule}", "target": "<SENTINEL_ID_0> {y:label}"},
        "labels": ["0", "1"],
        "metrics": ["auroc"],
    }
    task = build_task(load_task(declared), model.tokenizer)
    found = model.predict(TABLE, task, names="iupac_name")
    assert "smiles_read" not in found and found["error"].isna().tolist() == [True, True, True, True, False]
    listed = model.predict(["ethanol"], task, names="iupac_name")
    assert listed["iupac_name"].tolist() == ["ethanol"] and "error" not in listed.dropna(axis=1)
    with pytest.raises(DataError, match="no column 'iupac_nam'"):
        model.predict(TABLE, task, names="iupac_nam")
    named = model.predict(TABLE.rename(columns={"iupac_name": "iupac"}), task)
    assert found["probability"].tolist()[:4] == pytest.approx(named["probability"].tolist()[:4])


def test_doubtful_names_are_refused_or_answered_with_the_doubt(model: mammal.Mammal):
    if (why := opsin.why_missing()) is not None:
        pytest.skip(f"names can't be read here: {why}")
    names = ["ethanol", "chlorotoluene", "rac-(2R,3R)-butane-2,3-diol", "phenol sodium salt", "toluene [German]"]
    refused = model.predict(names, "bbbp", names="iupac", names_by="opsin")
    assert refused["error"].isna().tolist() == [True, False, False, False, False]
    assert "APPEARS_AMBIGUOUS" in refused["error"][1] and "name_warning=true" in refused["error"][1]

    answered = model.predict(names, "bbbp", names="iupac", names_by="opsin", name_warning=True)
    assert answered["error"].isna().all() and answered["probability"].notna().all()
    assert answered["smiles_read"].tolist()[::4] == ["CCO", "Cc1ccccc1"]
    assert answered["name_warning"].isna().tolist() == [True, False, False, False, False]
    with pytest.raises(ConfigError, match="name_warning needs a column of names"):
        model.predict(["CCO"], "bbbp", name_warning=True)
