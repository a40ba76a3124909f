"""Which column is read: what the user says wins, slips are refused, the only other candidate is used; and the index
that came in comes out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, TaskError
from mammal.jobs import run_job
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import row_table
from mammal.tasks import build_task, load_task
from mammal.tasks.data import divide, load_data
from mammal.tokenization import Tokenizer

RAW = ["CCO", "CCCCCC", "c1ccccc1"]
STANDARD = ["CCN", "CCCCC(=O)O", "C1CCCCC1"]


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle, task="melting_point")


@pytest.fixture(scope="module")
def peptides(small_bundle: Callable[..., Path]) -> mammal.Mammal:
    return mammal.load(small_bundle("amp"))


@pytest.fixture
def both() -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2, 3], "smiles": RAW, "std_smiles": STANDARD})


def test_the_column_that_is_named_is_read_though_the_prompts_own_is_there(model: mammal.Mammal, both: pd.DataFrame):
    said = {"columns": {"smiles": "std_smiles"}}
    right = model.predict(STANDARD)["prediction"].tolist()
    assert model.predict(both, **said)["prediction"].tolist() == pytest.approx(right)
    assert model.predict(both.to_dict("records"), **said)["prediction"].tolist() == pytest.approx(right)
    assert model.predict(both, columns="std_smiles")["prediction"].tolist() == pytest.approx(right)
    assert list(model.predict(both, **said).columns) == ["id", "smiles", "std_smiles", "prediction", "error"]
    assert list(model.predict(both.to_dict("records"), **said).columns)[:3] == ["id", "smiles", "std_smiles"]
    np.testing.assert_allclose(model.embed(both, **said), model.embed(STANDARD), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        model.embed(both, entity="smiles", columns={"value": "std_smiles"}), model.embed(STANDARD, entity="smiles")
    )


def test_scores_read_the_column_that_is_named(tiny_bundle: Path, both: pd.DataFrame):
    model = mammal.load(tiny_bundle, task="bbbp")
    right = model.score(STANDARD, ["1", "0", "1"])["log_likelihood"].tolist()
    labelled = both.assign(label=["0", "1", "0"], mine=["1", "0", "1"])
    (target,) = model.task.target_columns
    said = {"smiles": "std_smiles", target: "mine"}
    assert model.score(labelled, columns=said)["log_likelihood"].tolist() == pytest.approx(right)
    apart = model.score(both, ["1", "0", "1"], columns={"smiles": "std_smiles"})
    assert apart["log_likelihood"].tolist() == pytest.approx(right)


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_jobs_and_the_command_line_read_the_column_that_is_named(
    verb: str, tiny_bundle: Path, both: pd.DataFrame, tmp_path: Path
):
    both.to_csv(tmp_path / "both.csv", index=False)
    pd.DataFrame({"smiles": STANDARD}).to_csv(tmp_path / "standard.csv", index=False)
    words = [verb, f"bundle={tiny_bundle}", "task=melting_point"]
    for name, said in (("both", "columns={smiles: std_smiles}"), ("both", "columns=std_smiles"), ("standard", "seed")):
        out = tmp_path / f"{name}{len(said)}.parquet"
        more = [said] if "=" in said else []
        assert main([*words, f"input={tmp_path / name}.csv", f"output={out}", *more]) == 0
    column = {"predict": "prediction", "embed": "embedding"}[verb]
    found = [
        pd.read_parquet(tmp_path / f"{name}.parquet")[column].tolist() for name in ("both28", "both18", "standard4")
    ]
    for of_mapping in found[:2]:
        np.testing.assert_allclose(np.stack(of_mapping), np.stack(found[2]), rtol=1e-5, atol=1e-6)


def test_generation_reads_the_column_that_is_named(small_bundle: Callable[..., Path]):
    model = mammal.load(small_bundle("forward_reaction"))
    (column,) = model.task.columns
    rows = pd.DataFrame({column: ["CCO", "CCCl"], "mine": ["CCN.CCBr", "c1ccccc1Br.CN"]})
    how = {"max_new_tokens": 8, "constraint": "alphabet"}
    right = model.generate(rows["mine"].tolist(), **how)["text"].tolist()
    assert model.generate(rows, columns={column: "mine"}, **how)["text"].tolist() == right


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"smile": "std_smiles"}, "has no column 'smile'.*did you mean smiles"),
        ({"std_smiles": "smiles"}, r"\{smiles: std_smiles\}\?"),
        ({"smiles": "std_smile"}, "the table lacks.*did you mean std_smiles"),
        ("std_smile", "the table lacks.*did you mean std_smiles"),
        ({"smiles": 3}, "not the name of a column"),
    ],
)
def test_slips_are_refused(model: mammal.Mammal, both: pd.DataFrame, columns: object, message: str):
    for ask in (model.predict, model.embed):
        with pytest.raises((ConfigError, DataError), match=f"(?s){message}"):
            ask(both, columns=columns)


def test_jobs_refuse_slips_before_they_write(tiny_bundle: Path, both: pd.DataFrame, tmp_path: Path):
    both.to_csv(tmp_path / "both.csv", index=False)
    how = {"task": "melting_point", "columns": {"smiles": "std_smile"}}
    with pytest.raises(DataError, match="did you mean std_smiles"):
        run_job("predict", tiny_bundle, tmp_path / "both.csv", tmp_path / "out.csv", **how)
    assert not (tmp_path / "out.csv.parts").exists()


def test_one_name_does_not_do_for_two_columns(small_bundle: Callable[..., Path]):
    model = mammal.load(small_bundle("ppi"))
    with pytest.raises(ConfigError, match=r"COLUMN"):
        model.predict([("MKV", "MKL")], columns="seq")


def test_a_slip_in_the_column_of_a_target_that_is_not_read_is_refused(small_bundle: Callable[..., Path]):
    model = mammal.load(small_bundle("forward_reaction"))
    (target,) = model.task.target_columns
    (column,) = model.task.columns
    rows = pd.DataFrame({column: ["CCN.CCBr"], "my_product": ["CCNCC"]})
    how = {"max_new_tokens": 8, "constraint": "alphabet"}
    with pytest.raises(DataError, match=r"lacks \(it is not read here\).*did you mean my_product\?"):
        model.generate(rows, columns={target: "my_prodct"}, **how)
    for said in ("my_product", "measured elsewhere"):  # of a table that is used for training, too
        assert len(model.generate(rows, columns={target: said}, **how)) == 1


def test_columns_can_change_places(small_bundle: Callable[..., Path]):
    scaled = ("davis", {"scale": {"mean": 0.0, "std": 1.0}})
    model = mammal.load(small_bundle(scaled, scalars_prediction_head={"layers": []}))
    first, second = (group[0] for group in model.task.needed)
    texts = ("CCO", "MKVLAAG") if first in model.task.molecules else ("MKVLAAG", "CCO")
    values = dict(zip((first, second), texts, strict=True))
    right = model.predict(pd.DataFrame([values]))
    swapped = pd.DataFrame([{first: values[second], second: values[first]}])
    found = model.predict(swapped, columns={first: second, second: first})
    assert found["error"].isna().all() and found["prediction"][0] == pytest.approx(right["prediction"][0])


DECLARED = {
    "name": "ic50",
    "kind": "regression",
    "prompt": {"input": "<MASK> {smiles:smiles}", "target": "{y:scalar}"},
    "mode": "encoder",
}


def test_a_task_files_columns_win_in_training(tmp_path: Path):
    frame = pd.DataFrame({"smiles": RAW * 4, "std": STANDARD * 4, "y": [1.0] * 12, "z": np.arange(12.0)})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    data = {"path": str(tmp_path / "mine.csv"), "columns": {"smiles": "std", "y": "z"}}
    loaded = load_data(load_task({**DECLARED, "data": data}))
    assert loaded.frame["smiles"].tolist() == STANDARD * 4
    assert loaded.frame["y"].tolist() == [str(float(n)) for n in range(12)]
    swap = load_task({**DECLARED, "data": {"columns": {"y": "z", "smiles": "std", "z": "y"}}})
    with pytest.raises(TaskError, match="no column 'z'"):
        load_data(swap)


def test_training_swaps_columns_once():
    frame = pd.DataFrame({"a": ["CCO"] * 10, "b": ["MKV"] * 10, "y": np.arange(10.0)})
    prompt = {"input": "<MASK> {a:protein} {b:smiles}", "target": "{y:scalar}"}
    config = load_task({**DECLARED, "prompt": prompt, "data": {"columns": {"a": "b", "b": "a"}}})
    divided = divide(frame, config)
    assert divided.frame["a"].tolist() == ["MKV"] * 10 and divided.frame["b"].tolist() == ["CCO"] * 10


@pytest.mark.parametrize(
    ("columns", "message"), [({"smile": "std"}, "did you mean smiles"), ({"smiles": "stdd"}, "did you mean std")]
)
def test_slips_in_a_task_file_are_refused(tmp_path: Path, columns: dict[str, str], message: str):
    pd.DataFrame({"smiles": RAW * 4, "std": STANDARD * 4, "y": range(12)}).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises((TaskError, DataError), match=message):
        load_data(load_task({**DECLARED, "data": {"path": str(tmp_path / "m.csv"), "columns": columns}}))


@pytest.mark.parametrize("order", [["IC50 (nM)", "IC50"], ["IC50", "IC50 (nM)"]])
def test_new_task_learns_the_target_that_is_named(order: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    molecules = ["C" * n + "O" for n in range(1, 31)]
    values = {"IC50 (nM)": [n + 0.5 for n in range(30)], "IC50": [1000 + n * 0.25 for n in range(30)]}
    pd.DataFrame({"smiles": molecules, **{name: values[name] for name in order}}).to_csv("a.csv", index=False)
    for target in order:
        assert main(["new-task", "a.csv", f"target={target}", "name=t", "output=t.yaml"]) == 0
        config = load_task("t.yaml")
        (column,) = build_task(config, Tokenizer.load(None)).target_columns
        assert load_data(config).frame[column].astype(float).tolist() == values[target]
        Path("t.yaml").unlink()


@pytest.mark.parametrize(
    "name", ["SMILES", "Smiles", "canonical_smiles", "Canonical SMILES", "smi", "Structure", "ROMol"]
)
def test_the_only_column_that_can_be_meant_is_read(
    model: mammal.Mammal, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    frame = pd.DataFrame({"id": [1, 2, 3], name: STANDARD})
    right = model.predict(STANDARD)["prediction"].tolist()
    with caplog.at_level(logging.INFO, "mammal"):
        answered = model.predict(frame)
    assert answered["prediction"].tolist() == pytest.approx(right) and list(answered.columns)[:2] == ["id", name]
    assert f"column {name!r} is read as 'smiles'" in caplog.text
    assert model.predict(frame.to_dict("records"))["prediction"].tolist() == pytest.approx(right)


def test_a_job_reads_the_only_column_that_can_be_meant_and_says_so_once(
    tiny_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    pd.DataFrame({"SMILES": STANDARD}).to_csv(tmp_path / "in.csv", index=False)
    with caplog.at_level(logging.INFO, "mammal"):
        how = {"task": "melting_point", "shard_rows": 1}
        report = run_job("predict", tiny_bundle, tmp_path / "in.csv", tmp_path / "out.csv", **how)
    assert report.ok == 3 and caplog.text.count("is read as 'smiles'") == 1


def test_sequences_are_found_too_and_never_two_from_one(peptides: mammal.Mammal, small_bundle: Callable[..., Path]):
    frame = pd.DataFrame({"Sequence": ["GIGKFLHSAKKFGKAFVGEIMNS", "MKLLV"]})
    assert peptides.predict(frame)["error"].isna().all()
    pair = mammal.load(small_bundle("ppi"))
    with pytest.raises(DataError, match="no column"):
        pair.predict(frame)


def test_of_several_candidates_none_is_taken(model: mammal.Mammal):
    frame = pd.DataFrame({"SMILES": RAW, "canonical_smiles": STANDARD})
    with pytest.raises(DataError, match=r"columns=\{smiles: SMILES\}, or another of canonical_smiles"):
        model.predict(frame)
    assert model.predict(frame, columns="canonical_smiles")["error"].isna().all()


def test_a_target_is_not_taken_for_a_condition(model: mammal.Mammal):
    reading = ReadColumns.of_task(model.task)
    with pytest.raises(DataError, match="no column 'smiles'"):
        row_table(pd.DataFrame({"tm": [1.0], "name": ["water"]}), reading)


@pytest.fixture
def shuffled() -> pd.DataFrame:
    frame = pd.DataFrame({"smiles": ["CCO", "no molecule", "c1ccccc1", "CCCCCCCC"], "keep": [1, 1, 0, 1]})
    return frame.sample(frac=1, random_state=3)


def test_a_series_keeps_its_index(model: mammal.Mammal, shuffled: pd.DataFrame):
    right = model.predict(["CCO", "no molecule", "c1ccccc1", "CCCCCCCC"])["prediction"]
    for frame in (shuffled, shuffled[shuffled["keep"] == 1]):
        frame = frame.copy()
        frame["p"] = model.predict(frame["smiles"])["prediction"]
        for number, value in frame["p"].items():
            assert value == pytest.approx(right[number], nan_ok=True)
        named = frame.set_index("smiles", drop=False)["smiles"]
        assert list(model.predict(named).index) == frame["smiles"].tolist()


def test_a_dict_of_series_keeps_their_index(model: mammal.Mammal, shuffled: pd.DataFrame):
    columns = {"smiles": shuffled["smiles"], "keep": shuffled["keep"]}
    answered = model.predict(columns)
    pd.testing.assert_frame_equal(answered, model.predict(shuffled))
    assert list(model.embed({"smiles": shuffled["smiles"]}, as_frame=True).index) == list(shuffled.index)
    assert list(model.predict({"smiles": shuffled["smiles"], "n": [1, 2, 3, 4]}).index) == list(shuffled.index)
    columns["keep"] = shuffled["keep"].sort_index()
    with pytest.raises(DataError, match="'smiles' and 'keep' have different indexes"):
        model.predict(columns)


def test_every_method_keeps_the_index_of_a_series(tiny_bundle: Path, shuffled: pd.DataFrame):
    model = mammal.load(tiny_bundle, task="bbbp")
    series = shuffled["smiles"]
    scored = model.score(series, pd.Series(["1", "0", "1", "0"], index=series.index))
    assert list(scored.index) == list(series.index) and scored.loc[1, "error"]
    frame = model.embed(series, as_frame=True)
    assert list(frame.index) == list(series.index)
    np.testing.assert_allclose(frame.loc[0].to_numpy(np.float32), model.embed(["CCO"])[0], rtol=1e-5, atol=1e-6)
    assert frame.loc[1].isna().all()
    with pytest.raises(DataError, match="index of the targets"):
        model.score(series, pd.Series(["1", "0", "1", "0"]))


def test_generation_keeps_the_index_of_a_series(small_bundle: Callable[..., Path]):
    model = mammal.load(small_bundle("forward_reaction"))
    series = pd.Series(["CCN.CCBr", "c1ccccc1Br.CN"], index=["b", "a"])
    made = model.generate(series, n=2, max_new_tokens=8, constraint="alphabet", seed=[4, 9])
    assert list(made.index) == ["b", "b", "a", "a"]


def test_infilling_keeps_the_index_of_a_series(small_bundle: Callable[..., Path]):
    model = mammal.load(small_bundle("protein_denoising"))
    series = pd.Series(["EVQLVESGGGLVQ", "EVQLVESGGGLLL"], index=[7, 3])
    assert list(model.infill(series, "4-5").index) == [7, 3]
