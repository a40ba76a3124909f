"""`Mammal.explain` and `mammal explain`: numbers that add up, forms of the answer, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, JobError, MammalError, TaskError
from mammal.explanation import gradients
from mammal.explanation.question import Explain
from mammal.inference.api import Mammal
from mammal.jobs import run_job
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.report.explain_page import explained_rows, explanations_page
from mammal.rows.batched import Pace
from mammal.tasks import build_task, load_task
from mammal.tasks.probes.task_probes import TaskProbes
from mammal.tokenization import Tokenizer

SMILES = ["CCO", "O=S(=O)(N)c1ccccc1Cl", "c1ccc2[nH]ccc2c1", "CC(=O)Oc1ccccc1C(=O)O"]
LABELS = [f"class {number}" for number in range(12)]

NUMBER = {"kind": "regression", "mode": "encoder", "unit": "K"}
LABEL = {"kind": "classification", "mode": "decoder", "labels": ["no", "yes"]}
TARGET = "<SENTINEL_ID_0> {y:label}"
TWO_TARGETS = "<SENTINEL_ID_0> {y:label} <SENTINEL_ID_1> {z:label}"
TASKS: dict[str, dict[str, Any]] = {
    "number": {**NUMBER, "prompt": {"input": "<MELTING_POINT><MASK> {smiles:smiles}", "target": "{y:scalar}"}},
    "logarithm": {
        **NUMBER,
        "scale": {"log": True},
        "prompt": {"input": "<MELTING_POINT><MASK> {smiles:smiles}", "target": "{y:scalar}"},
    },
    "chained": {
        **NUMBER,
        "mode": "decoder",
        "chain": True,
        "prompt": {"input": "<MELTING_POINT> {smiles:smiles}", "target": "{y:scalar} {z:scalar}"},
    },
    "dose": {
        **NUMBER,
        "prompt": {"input": "<MELTING_POINT><MASK> {smiles:smiles} {dose:scalar}", "target": "{y:scalar}"},
    },
    "label": {**LABEL, "prompt": {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": TARGET}},
    "at_mask": {
        **LABEL,
        "mode": "encoder",
        "prompt": {"input": "<BBBP><MASK> {smiles:smiles}", "target": "{y:label}"},
    },
    "twelve": {
        **LABEL,
        "labels": LABELS,
        "prompt": {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": TARGET},
    },
    "two_targets": {**LABEL, "prompt": {"input": "<BBBP> {smiles:smiles}", "target": TWO_TARGETS}},
    "short": {**LABEL, "prompt": {"input": "<BBBP><SENTINEL_ID_0> {protein:protein@12}", "target": TARGET}},
    "pair": {
        **LABEL,
        "prompt": {"input": "<BBBP><SENTINEL_ID_0> {protein:protein} {smiles:smiles}", "target": TARGET},
    },
    "variant": {**LABEL, "prompt": {"input": "<BBBP><SENTINEL_ID_0> {sequence:dna}", "target": TARGET}},
    "words": {**LABEL, "prompt": {"input": "<BBBP><SENTINEL_ID_0> {note:text}", "target": TARGET}},
    "probed": {**NUMBER, "prompt": {"input": "<MELTING_POINT><MASK> {smiles:smiles}", "target": "{y:scalar}"}},
    "probed_label": {**LABEL, "prompt": {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": TARGET}},
}
VALUES: dict[str, Sequence[Any]] = {
    "smiles": SMILES,
    "protein": ["MKTAYIAKQR", "GGSG", "MACDEFGHIK", "WWHH"],
    "sequence": ["ACGT[A/G]TTC", "ACGTACGT", "[AC/-]GGT", "TTTT[C/G:0.2]A"],
    "note": ["a yellow powder", "soluble in water", "toxic", "x y z"],
    "dose": [0.1, 2.0, -1.0, 0.5],
}


def rows_for(task: Any) -> list[dict[str, Any]]:
    return [dict(zip(task.columns, row, strict=True)) for row in zip(*(VALUES[c] for c in task.columns), strict=True)]


@pytest.fixture(scope="module")
def model() -> Mammal:
    """A network with random weights, large enough that outputs depend on the input, and `TASKS`."""
    torch.manual_seed(3)
    tokenizer = Tokenizer.load(None)
    sizes = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 1}
    heads: Mapping[str, Any] = {"encoder_head_layers": (), "scalars_prediction_head": {"layers": [16]}}
    network = MammalModel(
        ModelConfig(tokenizer.vocab_rows, **sizes, **heads, decoder_scalars=True, support_input_scalars=True)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.3 if parameter.ndim > 1 else 1.0)
    tasks = [build_task(load_task({"name": name, **declared}), tokenizer) for name, declared in TASKS.items()]
    for task in tasks:
        if task.family == "regression":
            log = task.config.scale.log
            scale = {"mean": 2.5, "std": 0.4, "log": True} if log else {"mean": 300.0, "std": 50.0}
            task.load_state({"scales": dict.fromkeys("yz", scale)})
    made = Mammal(network.eval(), tokenizer, tasks)
    for name, kind, members in (("probed", "linear", 1), ("probed_label", "svm", 3)):
        fit_probe(made, name, kind, members)
    return made


def fit_probe(model: Mammal, name: str, kind: str, members: int) -> None:
    task = model.tasks[name]
    rows = [
        {"smiles": "C" * n + end, "y": str(n) if name == "probed" else ("no", "yes")[n > 8]}
        for n in range(1, 17)
        for end in "NO"
    ]
    task.probes = TaskProbes(task)
    batch = task.collate([task.encode(row) for row in rows])
    with torch.no_grad():
        vectors_NF = task.probes.reader.vectors(model.model(batch), batch)
    task.probes.fit(vectors_NF, vectors_NF[:0], task.probe_columns(rows), kind, members)


def asked(name: str) -> dict[str, Any]:
    return {"target": "z"} if name in ("chained", "two_targets") else {}


@pytest.mark.parametrize("name", TASKS)
def test_attributions_sum_to_the_output_less_that_of_the_baseline(model: Mammal, name: str):
    rows = rows_for(model.tasks[name])
    found = model.explain(rows, name, **asked(name))
    assert found["error"].isna().all()
    columns = [column for column in found if column.endswith("attribution")]
    sums = sum(found[column].map(lambda a: float(np.nansum(a, dtype=np.float64))) for column in columns)
    change = found["output"] - found["baseline"]
    assert np.allclose(sums + found["difference"], change, rtol=1e-4, atol=1e-4 * change.abs().max())
    factor = {"logarithm": 0.4}.get(name, 50.0 if model.tasks[name].family == "regression" else 1.0)
    small = gradients.SMALL * factor
    assert (found["difference"].abs() <= 1.001 * gradients.TOLERANCE * change.abs().clip(lower=small)).all()
    assert change.abs().max() > 1e-3 * factor, "the model must depend on its input, else nothing is tested"


@pytest.mark.parametrize("name", TASKS)
def test_the_output_that_is_explained_is_the_prediction(model: Mammal, name: str):
    rows = rows_for(model.tasks[name])
    found, said = model.explain(rows, name, method="occlusion", **asked(name)), model.predict(rows, name)
    start = f"{asked(name)['target']}_" if asked(name) else ""
    if model.tasks[name].family == "regression":
        numbers = said[f"{start}prediction"].astype(float)
        expected = np.log10(numbers) if name == "logarithm" else numbers
        assert found["explained"][0] == {"logarithm": "decimal logarithm of y (K)", "chained": "z (K)"}.get(
            name, "y (K)"
        )
    else:
        probability = said[f"{start}probability"]
        expected = np.log(probability / (1 - probability))
        label = said["prediction"] if name == "twelve" else pd.Series(["yes"] * 4)
        assert list(found["explained"]) == [("z: " if asked(name) else "") + f"log-odds of {one}" for one in label]
    assert np.allclose(found["output"], expected, rtol=1e-4, atol=1e-4)


def test_a_requested_label_is_explained(model: Mammal):
    found = model.explain(SMILES, "twelve", label="class 3", method="occlusion")
    said = model.predict(SMILES, "twelve", every_label=True)["probability_class 3"]
    assert np.allclose(found["output"], np.log(said / (1 - said)), atol=1e-4)
    no, yes = (model.explain(SMILES, "label", label=label)["output"] for label in ("no", "yes"))
    assert np.allclose(no, -yes, atol=1e-5)


def test_the_integral_gets_more_steps_until_it_is_close_enough(model: Mammal, monkeypatch: pytest.MonkeyPatch):
    rough = model.explain(SMILES, "label", steps=1, tolerance=1e9)
    fine = model.explain(SMILES, "label", steps=1, tolerance=1e-3)
    assert (rough["steps"] == 1).all() and (fine["steps"] > 1).any()
    assert fine["difference"].abs().max() < rough["difference"].abs().max()
    monkeypatch.setattr(gradients, "MOST_STEPS", 2)
    limited = model.explain(SMILES, "label", steps=1, tolerance=1e-9)
    assert (limited["steps"] == 2).all() and limited["difference"].abs().max() > 1e-9, "what is missed is reported"


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
@pytest.mark.parametrize("name", ["label", "two_targets", "number", "pair"])
def test_a_row_does_not_depend_on_the_rows_next_to_it(model: Mammal, name: str, method: str):
    rows = rows_for(model.tasks[name])
    how = {"method": method, **asked(name)}
    together = model.explain(rows, name, **how)
    alone = pd.concat([model.explain([row], name, **how) for row in rows], ignore_index=True)
    for column in [column for column in together if column.endswith("attribution")]:
        scale = max(np.nanmax(np.abs(a)) for a in together[column])
        for one, other in zip(together[column], alone[column], strict=True):
            assert np.allclose(one, other, atol=2e-3 * scale, equal_nan=True)


def test_another_smiles_of_a_molecule_has_the_same_explanation(model: Mammal):
    same = ["OCC", "C(O)C", "CCO"]
    found = model.explain(same, "label")
    assert list(found["read"]) == ["CCO"] * 3
    assert all(np.array_equal(a, found["attribution"][0]) for a in found["attribution"])


def test_masking_everything_at_once_is_the_baseline(model: Mammal):
    rows = rows_for(model.tasks["short"])
    gradient = model.explain(rows, "short")
    masked = model.explain(rows, "short", method="occlusion", window=100)
    effects = [json.loads(fragments) for fragments in masked["fragments"]]
    assert all(len(found) == 1 for found in effects)
    expected = gradient["output"] - gradient["baseline"]
    assert np.allclose([found[0]["effect"] for found in effects], expected, rtol=1e-4, atol=1e-5)


def test_long_form_has_a_line_for_each_part(model: Mammal):
    wide, long = (model.explain(rows_for(model.tasks["pair"]), "pair", long=form) for form in (False, True))
    for number, row in wide.iterrows():
        of_row = long[long["row"] == number + 1]
        for column in ("protein", "smiles"):
            lines = of_row[of_row["column"] == column]
            assert list(lines["text"]) == json.loads(row[f"{column}_parts"])
            assert list(lines["position"]) == list(range(1, len(lines) + 1))
            assert np.allclose(lines["attribution"], row[f"{column}_attribution"])
            assert set(lines["read"]) == {row[f"{column}_read"]}
    tokens = model.explain(["ClCC"], "label", long=True, every_token=True)
    assert list(tokens["text"]) in (["C", "C", "Cl"], ["Cl", "C", "C"]) and set(tokens["part"]) == {"token"}


def test_a_row_that_cannot_be_read_has_a_reason_and_a_cut_row_is_marked(model: Mammal):
    found = model.explain(["CCO", "C(", ""], "label")
    assert found["error"].notna().tolist() == [False, True, True] and "SMILES" in found["error"][1]
    cut = model.explain(["MKTAYIAKQRQISFVK", "MKT"], "short")
    assert cut["cut"].tolist() == [True, False]
    assert np.isnan(cut["attribution"][0][-4:]).all() and not np.isnan(cut["attribution"][1]).any()
    assert len(cut["attribution"][0]) == 16


def test_a_number_and_words_are_parts_too(model: Mammal):
    dose = model.explain(rows_for(model.tasks["dose"]), "dose")
    assert set(dose["dose_part"]) == {"number"} and all(len(a) == 1 for a in dose["dose_attribution"])
    assert any(abs(float(a[0])) > 1e-3 for a in dose["dose_attribution"])
    words = model.explain(VALUES["note"], "words")
    assert "".join(json.loads(words["parts"][0])) == "a yellow powder" and set(words["part"]) == {"token"}


def test_what_cannot_be_explained_is_refused(model: Mammal, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TaskError, match="is a generation task"):
        mammal.load(tiny_bundle).explain(SMILES, "molecules")
    with pytest.raises(TaskError, match="has 2 targets"):
        model.explain(SMILES, "two_targets")
    for wrong, how in (
        ("no target 'a'", {"target": "a"}),
        ("no label 'yess'.*yes", {"label": "yess"}),
        ("no method 'gradients'", {"method": "gradients"}),
        ("no baseline 'zero'", {"baseline": "zero"}),
        ("no fragments 'rings'", {"fragments": "rings"}),
        ("greater than 0", {"steps": 0}),
        ("greater than 0", {"window": 0}),
        ("window would have no effect: only occlusion reads it", {"window": 3}),
        ("steps would have no effect: only integrated_gradients", {"method": "occlusion", "steps": 3}),
    ):
        with pytest.raises(ConfigError, match=wrong):
            model.explain(SMILES, "label", **how)
    with pytest.raises(ConfigError, match="has no labels"):
        model.explain(SMILES, "number", label="yes")
    monkeypatch.setattr(gradients, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"package captum.*mammal\[explain\]"):
        model.explain(SMILES, "label")
    assert model.explain(SMILES[:1], "label", method="occlusion")["error"].isna().all()


def test_a_probe_that_reads_whole_molecules_is_refused(model: Mammal):
    task = model.tasks["probed"]
    kept = task.probes
    try:
        task.probes = TaskProbes(task, ["morgan"])
        with pytest.raises(TaskError, match=r"morgan of the whole molecule.*adapt.features"):
            model.explain(SMILES, "probed")
    finally:
        task.probes = kept


@pytest.mark.parametrize("form", ["bfloat16", "int8"])
def test_a_model_of_another_number_format_is_explained_in_float32_and_stays_as_it_is(model: Mammal, form: str):
    network = copy.deepcopy(model.model)
    if form == "int8":
        try:
            network.use_int8()
        except ConfigError as error:
            pytest.skip(str(error))
    else:
        network.bfloat16()
    coarse = Mammal(network, model.tokenizer, [model.tasks["label"]])
    found = coarse.explain(SMILES, "label")
    assert coarse.model.number_format == form
    assert (found["difference"].abs() <= 0.0101 * (found["output"] - found["baseline"]).abs().clip(lower=0.1)).all()
    assert np.allclose(found["output"], model.explain(SMILES, "label")["output"], rtol=0.2, atol=0.2)


def test_explaining_leaves_the_model_as_it_was(model: Mammal):
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    model.model.train()
    try:
        model.explain(SMILES, "label")
        assert model.model.training
    finally:
        model.model.eval()
    assert all(weight.equal(before[name]) and weight.grad is None for name, weight in model.model.named_parameters())


def test_rows_are_walked_through_in_small_batches(model: Mammal):
    task = model.tasks["label"]
    small = Explain(model.model, task, Pace(tokens=80, rows=2, window=3))
    large = Explain(model.model, task, Pace())
    rows = [{"smiles": smiles} for smiles in SMILES * 2]
    pairs = zip(small.explain(rows), large.explain(rows), strict=True)
    for one, other in pairs:
        a, b = one.values[0].attribution_P, other.values[0].attribution_P
        assert np.allclose(a, b, atol=2e-3 * np.abs(b).max())


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_a_job_writes_every_form_and_a_page(tiny_bundle: Path, tmp_path: Path, form: str, method: str):
    table, output, page = tmp_path / "in.csv", tmp_path / f"out.{form}", tmp_path / "page.html"
    pd.DataFrame({"id": range(5), "smiles": [*SMILES, "C("]}).to_csv(table, index=False)
    words = [f"bundle={tiny_bundle}", "task=melting_point", f"input={table}", f"output={output}", f"method={method}"]
    assert main(["explain", *words, f"page={page}", "shard_rows=2", "page_rows=3"]) == 3
    drawn = list(explained_rows(output))
    expected = mammal.load(tiny_bundle).explain(SMILES, "melting_point", method=method)
    assert [row.number for row in drawn] == [1, 2, 3, 4]
    for row, attribution, read in zip(drawn, expected["attribution"], expected["read"], strict=True):
        (value,) = row.values
        assert value.read == read and len(value.parts) == len(attribution)
        assert np.allclose(value.attribution_P, attribution, atol=1e-3 * np.abs(attribution).max())
    html = page.read_text()
    assert (
        html.count("<svg") == 3
        and "Row 3" in html
        and "Row 4" not in html
        and html == explanations_page(output, rows=3)
    )
    assert main(["explain", *words, "shard_rows=2"]) == 3, "a complete job does nothing"
    other = {"method": method, "baseline": "pad"}
    with pytest.raises(JobError, match=r"baseline was mask, is pad \("):
        run_job("explain", tiny_bundle, table, output, task="melting_point", options=other, shard_rows=2)


def test_a_stopped_job_continues_and_gives_the_same_bytes(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = tmp_path / "in.csv"
    pd.DataFrame({"smiles": SMILES}).to_csv(table, index=False)
    how: dict[str, Any] = {"task": "bbbp", "shard_rows": 1}
    run_job("explain", tiny_bundle, table, tmp_path / "whole.csv", **how)
    asked, original = [], Explain.ask

    def fails(self: Explain, rows: Any, **more: Any) -> Any:
        asked.append(len(rows))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return original(self, rows, **more)

    monkeypatch.setattr(Explain, "ask", fails)
    with pytest.raises(KeyboardInterrupt):
        run_job("explain", tiny_bundle, table, tmp_path / "parts.csv", **how)
    report = run_job("explain", tiny_bundle, table, tmp_path / "parts.csv", **how)
    assert report.resumed == 2 and len(asked) == 5
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_the_command_prints_lines_and_refuses_pages_it_cannot_make(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "in.csv"
    pd.DataFrame({"smiles": ["CCO"]}).to_csv(table, index=False)
    words = ["explain", f"bundle={tiny_bundle}", "task=bbbp", f"input={table}"]
    assert main([*words, "method=occlusion", "label=0"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("smiles,row,explained,output,column") and len(printed) == 4
    assert main([*words, "page=page.html"]) == 2 and "made from an output" in capsys.readouterr().err
    assert main([*words, f"page={table}", "output=x.csv"]) == 2 and table.read_text().startswith("smiles")
    with pytest.raises(MammalError, match="has no explanations"):
        explanations_page(table)
