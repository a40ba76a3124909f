"""Monte Carlo dropout at inference: masks that belong to a row, spreads that don't depend on the batch, refusals."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, MammalError, TaskError
from mammal.model.masks import RowMasks, decoder_keys, row_keys
from mammal.model.packing import Packing

MOLECULES = ["CCO", "c1ccccc1CCN", "CC(=O)O", "CCCCCCCCBr", "C"]
ESOL = ("esol", {"scale": {"mean": 0.0, "std": 1.0}})
CLASSES = {
    "name": "three",
    "kind": "classification",
    "labels": ["a", "b", "c"],
    "prompt": {"input": "<TOX21> {smiles:smiles}", "target": "<SENTINEL_ID_0> {kind:label}"},
}
CHAIN = {
    "name": "pair",
    "kind": "regression",
    "mode": "decoder",
    "chain": True,
    "scale": {"mean": 0.0, "std": 1.0},
    "prompt": {"input": "<TOX21> {smiles:smiles}", "target": "<SENTINEL_ID_0> {x:scalar} <SENTINEL_ID_1> {y:scalar}"},
}
SIZES = {"decoder_scalars": True, "support_input_scalars": True, "scalars_prediction_head": {"layers": []}}


@pytest.fixture(scope="module")
def bundle(small_bundle) -> Path:
    return small_bundle(ESOL, "bbbp", CLASSES, CHAIN, dropout_rate=0.2, **SIZES)


@pytest.fixture(scope="module")
def model(bundle):
    return mammal.load(bundle, device="cpu")


@pytest.mark.parametrize("task", ["esol", "bbbp", "three", "pair"])
def test_the_spread_of_a_row_depends_neither_on_the_batch_nor_on_chance(model, task):
    said = model.predict(MOLECULES, task, mc_dropout=5)
    names = [name for name in said.columns if name.endswith("spread")]
    assert len(names) == (2 if task == "pair" else 1)
    plain = model.predict(MOLECULES, task)
    assert said.drop(columns=names).equals(plain), "predictions are those without dropout"
    torch.manual_seed(123)
    alone = [model.predict([smiles], task, mc_dropout=5) for smiles in MOLECULES]
    for name in names:
        assert said[name].nunique() == len(MOLECULES) and said[name].gt(1e-5).all()
        assert said[name].tolist() == pytest.approx([one[name].iloc[0] for one in alone], rel=1e-3)


def test_the_spread_is_that_of_the_passes(model):
    task = model.find_task("bbbp")
    batch = task.collate([task.encode({"smiles": smiles}, n) for n, smiles in enumerate(MOLECULES)])
    with torch.inference_mode():
        passes = [model.model(replace(batch, dropout_keys_B=row_keys(batch, n))) for n in range(8)]
        each = np.array([[one.probability for one in task.decode(output, batch)] for output in passes])
    said = model.predict(MOLECULES, "bbbp", mc_dropout=8)
    assert said["spread"].tolist() == pytest.approx(each.std(axis=0, ddof=1).tolist(), rel=1e-3)


def test_masks_have_the_rate_of_dropout_and_are_independent():
    mask_BL = torch.tensor([[True] * 50, [True] * 30 + [False] * 20])
    packing = Packing.of_mask(mask_BL)
    masks = RowMasks(torch.tensor([1, 2]), packing)
    ones_NW = torch.ones(packing.tokens, 101)
    first, second = masks.dropout(ones_NW, 0.2), masks.dropout(ones_NW, 0.2)
    assert set(first.unique().tolist()) == {0.0, 1.25}
    assert first.mean().item() == pytest.approx(1, abs=0.03)
    correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1].abs()
    assert correlation < 0.05
    kept_NW = (first > 0).float()
    assert kept_NW.mean(dim=0).std() < 0.08 and kept_NW.mean(dim=1).std() < 0.08, "neither tokens nor entries stand out"
    alone = RowMasks(torch.tensor([2]), Packing.of_mask(torch.ones(1, 30, dtype=torch.bool)))
    assert alone.dropout(torch.ones(30, 101), 0.2).equal(first[50:])


def test_keys_of_decoder_rows_differ_within_a_row_and_not_with_the_batch():
    keys_B = torch.tensor([7, 9])
    several = decoder_keys(keys_B, torch.tensor([0, 0, 1, 1]))
    assert len(several.unique()) == 4
    assert decoder_keys(keys_B[1:], torch.tensor([0, 0])).equal(several[2:])


def test_jobs_write_the_spread(bundle, tmp_path, capsys):
    table = tmp_path / "rows.csv"
    table.write_text("smiles\n" + "\n".join(MOLECULES) + "\n")
    words = ["predict", f"bundle={bundle}", "task=esol", f"input={table}", f"output={tmp_path / 'out.csv'}"]
    assert main([*words, "mc_dropout=3"]) == 0
    with (tmp_path / "out.csv").open() as stream:
        spreads = [float(row["spread"]) for row in csv.DictReader(stream)]
    expected = mammal.load(bundle, device="cpu").predict(MOLECULES, "esol", mc_dropout=3)["spread"]
    assert spreads == pytest.approx(expected.tolist(), rel=1e-3)
    (manifest,) = tmp_path.glob("out*.json")
    assert json.loads(manifest.read_text())["options"]["mc_dropout"] == 3
    both = mammal.load(bundle, device="cpu").predict(MOLECULES, ["esol", "three"], mc_dropout=3)
    assert both["esol_spread"].tolist() == pytest.approx(spreads, rel=1e-3)


def test_what_cannot_be_sampled_is_refused_with_a_remedy(model, small_bundle):
    def refused(error: type[MammalError], opened, **how) -> str:
        with pytest.raises(error) as raised:
            opened.predict(MOLECULES, **how)
        return str(raised.value)

    still = mammal.load(small_bundle(ESOL, dropout_rate=0.0, **SIZES), device="cpu")
    assert "model.dropout_rate=0.1" in refused(ConfigError, still, mc_dropout=5)
    for wrong in (1, -2, 1001, True, "5"):
        assert "2 to 1000" in refused(ConfigError, model, task="esol", mc_dropout=wrong)
    assert "leave mc_dropout out" in refused(TaskError, model, task="molecule_features", mc_dropout=5)
