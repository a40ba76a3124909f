"""`standardised=True`: the molecules that the model read, and what standardisation changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError
from mammal.inference.from_names import OpsinReader, ReadName
from mammal.jobs import run_job
from mammal.tasks.names import opsin
from mammal.tasks.prompts.row_prompts import RowPrompts

POLICY = {"salts": "parent", "charges": "neutral"}
SMILES = ["OCC", "[Na+].[O-]C(=O)C", "C1CC", "C[S+]([O-])C", "[Na+].[O-]C(=O)C"]
READ = ["CCO", "CC(=O)O", None, "CS(C)=O", "CC(=O)O"]
CHANGES = ["", "salt removed; charge neutralised", None, "groups normalised", "salt removed; charge neutralised"]
PAIR = {
    "name": "pair",
    "kind": "classification",
    "mode": "decoder",
    "prompt": {"input": "<SENTINEL_ID_0> {a:smiles} {b:smiles}", "target": "<SENTINEL_ID_0> {y:label}"},
    "labels": ["0", "1"],
    "standardise": {"stereo": "remove"},
}
SOLUBLE = {
    **PAIR,
    "name": "soluble",
    "prompt": {"input": "<SENTINEL_ID_0> {p:protein}", "target": "<SENTINEL_ID_0> {y:label}"},
}


@pytest.fixture(scope="module")
def bundle(small_bundle: Callable[..., Path]) -> Path:
    return small_bundle(("bbbp", {"standardise": POLICY}), ("bbbp", {"name": "plain"}), PAIR, SOLUBLE)


@pytest.fixture(scope="module")
def model(bundle: Path) -> mammal.Mammal:
    return mammal.load(bundle, device="cpu")


def values(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else value for value in column]


def test_each_row_says_what_was_read_and_what_was_changed(model: mammal.Mammal):
    said = model.predict(SMILES, "bbbp", standardised=True, prefix="my_")
    assert list(said)[-3:] == ["my_standardised", "my_changes", "my_error"]
    assert values(said.my_standardised) == READ and values(said.my_changes) == CHANGES
    acid, salt = model.predict(["CC(=O)O", "[Na+].[O-]C(=O)C"], "bbbp").probability
    assert acid == salt, "the policy of the bundle is that of its answers"


def test_the_model_card_has_the_policy(bundle: Path):
    card = (bundle / "README.md").read_text()
    assert "* bbbp: molecules are standardised: `normalised, salts: parent, charges: neutral`" in card
    assert "plain: molecules" not in card


def test_it_costs_nothing_when_it_is_off(model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object) -> None:
        raise AssertionError("computed without a request")

    monkeypatch.setattr(RowPrompts, "molecules_read", fail)
    assert "standardised" not in model.predict(SMILES, "bbbp")


def test_several_molecules_have_columns_of_their_own(model: mammal.Mammal):
    said = model.predict([{"a": "C[C@H](N)O", "b": "OC"}], "pair", standardised=True)
    names = [name for name in said if name.endswith(("standardised", "changes"))]
    assert names == ["a_standardised", "a_changes", "b_standardised", "b_changes"]
    assert said[names].iloc[0].tolist() == ["CC(N)O", "stereo removed", "CO", ""]


def test_several_tasks_have_them_under_their_names(model: mammal.Mammal):
    rows = [{"smiles": "CCN.Cl", "p": "ACDEF"}]
    said = model.predict(rows, ["bbbp", "plain", "soluble"], standardised=True).iloc[0]
    assert (said.bbbp_standardised, said.bbbp_changes) == ("CCN", "salt removed")
    assert (said.plain_standardised, said.plain_changes) == ("CCN.Cl", "")
    assert "soluble_standardised" not in said
    for task in ("soluble", ["soluble"]):
        with pytest.raises(ConfigError, match="soluble reads no molecule"):
            model.predict(rows, task, standardised=True)


def test_molecules_of_names_have_them_too(model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opsin, "why_missing", lambda: None)
    monkeypatch.setattr(OpsinReader, "read", lambda self, names: [ReadName("CC(=O)[O-].[Na+]") for _ in names])
    said = model.predict(["sodium acetate"], "bbbp", names="name", standardised=True).iloc[0]
    assert (said.smiles_read, said.standardised) == ("CC(=O)[O-].[Na+]", "CC(=O)O")


def test_a_job_has_the_columns_and_its_manifest_the_policy(bundle: Path, tmp_path: Path, capsys: Any):
    table = tmp_path / "in.csv"
    pd.DataFrame({"smiles": SMILES}).to_csv(table, index=False)
    report = run_job(
        "predict", bundle, table, tmp_path / "out.csv", task="bbbp", options={"standardised": True}, shard_rows=2
    )
    said = pd.read_csv(report.output, keep_default_na=False)
    assert said.standardised.tolist() == [text or "" for text in READ]
    assert said.changes.tolist() == [text or "" for text in CHANGES]
    manifest = json.loads(Path(f"{report.output}.manifest.json").read_text())
    assert "(standardise: normalised, salts: parent, charges: neutral)" in json.dumps(manifest)
    usual = run_job("predict", bundle, table, tmp_path / "usual.csv", task="bbbp", options={"standardised": False})
    assert "standardised" not in Path(f"{usual.output}.manifest.json").read_text()
    assert main(["predict", f"bundle={bundle}", f"input={table}", "task=bbbp", "standardised=true"]) == 3
    assert "salt removed; charge neutralised" in capsys.readouterr().out


def test_a_service_says_what_the_column_is(model: mammal.Mammal):
    pytest.importorskip("fastapi")
    from mammal.service.asking import Questions
    from mammal.service.limits import Limits

    fields = {"task": "bbbp", "data": ["CCO"], "standardised": True, "prefix": "q_"}
    meanings = Questions(model, Limits()).ask("predict", fields).meanings
    assert "salts: parent, charges: neutral" in meanings["q_standardised"]
