"""Jobs and methods give the answers of the CPU on a CUDA device: predictions, states, scores, generated sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import mammal
from mammal.bundle.folder import save_bundle
from mammal.inference.api import Mammal
from mammal.jobs import run_job
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.tokenization import Tokenizer

pytestmark = pytest.mark.gpu

SIZES = {"d_model": 48, "d_ff": 64, "d_kv": 16, "num_heads": 3, "num_layers": 2, "num_decoder_layers": 2}
PARTS: dict[str, Any] = {
    "encoder_head_layers": (),
    "scalars_prediction_head": {"layers": []},
    "support_input_scalars": True,
    "decoder_scalars": True,
    "cross_attention_num_buckets": 8,
}
NUMBERS = {
    "name": "with_number",
    "kind": "generation",
    "prompt": {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {smiles:smiles} {mass:scalar}"},
    "generation": {"max_new_tokens": 24},
}
PROTEINS = {"name": "proteins", "kind": "denoising", "prompt": {"input": "{sequence:protein}"}}
BASES = "".join(np.random.default_rng(0).choice(list("ACGT"), 240))


FITTED_ON = [{"smiles": "CCO", "esol": "-0.8", "mass": "46"}, {"smiles": "CCC", "esol": "-1.9", "mass": "44"}]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights with tasks of every family."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, **SIZES, **PARTS))
    own = [NUMBERS, {**PROTEINS, "generation": {"max_new_tokens": 12}}]
    declared = ["bbbp", "esol", "tox21", "molecules", "dna_denoising", *own]
    tasks = {task.name: task for task in (build_task(load_task(one), tokenizer) for one in declared)}
    for name in ("esol", "with_number"):
        tasks[name].fit(FITTED_ON)
    return save_bundle(tmp_path_factory.mktemp("bundles") / "cuda", model, tokenizer, list(tasks.values()))


@pytest.fixture(scope="module")
def pair(bundle: Path, device: str) -> tuple[Mammal, Mammal]:
    """The same model in float32 on the CPU and on the device."""
    return mammal.load(bundle, device="cpu"), mammal.load(bundle, device=device, dtype="float32")


def require_close(found: pd.DataFrame, expected: pd.DataFrame, tolerance: float = 1e-4) -> None:
    """The same text, and numbers that differ by rounding only."""
    assert list(found) == list(expected) and len(found) == len(expected) > 0
    numbers = [name for name in expected if pd.api.types.is_numeric_dtype(expected[name])]
    for name in numbers:
        assert np.allclose(found[name], expected[name], rtol=tolerance, atol=tolerance, equal_nan=True), name
    pd.testing.assert_frame_equal(found.drop(columns=numbers), expected.drop(columns=numbers))


@pytest.mark.parametrize("task", ["bbbp", "esol", "tox21"])
def test_a_job_writes_the_answers_of_the_cpu(task: str, bundle: Path, device: str, molecules, tmp_path: Path) -> None:
    rows = pd.DataFrame({"smiles": [*molecules(60), "C1CC", ""], "note": range(62)})
    rows.to_csv(tmp_path / "in.csv", index=False)
    written = {}
    for place, where in enumerate(("cpu", device)):
        workers = place if task == "bbbp" else 0  # a worker imports everything again, which takes seconds
        how = {"task": task, "shard_rows": 25, "workers": workers, "dtype": "float32"}
        report = run_job("predict", bundle, tmp_path / "in.csv", tmp_path / f"{place}.csv", device=where, **how)
        assert (report.ok, report.bad) == (60, 2)
        written[place] = pd.read_csv(report.output)
    require_close(written[1], written[0])


def test_half_precision_stays_near(bundle: Path, device: str, pair: tuple[Mammal, Mammal], molecules) -> None:
    """The default number format on a GPU is bfloat16."""
    model = mammal.load(bundle, device=device, **({} if device == "cuda" else {"dtype": "bfloat16"}))
    assert model.model.dtype == torch.bfloat16 and model.device.type == device
    for task, column in (("bbbp", "probability"), ("esol", "prediction")):
        expected, found = (one.predict(molecules(40), task=task)[column].astype(float) for one in (pair[0], model))
        assert np.abs(found - expected).max() < 0.05 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("pooling", ["mean", "max", "first", "none"])
def test_states_are_those_of_the_cpu(pooling: str, pair: tuple[Mammal, Mammal], molecules) -> None:
    expected, found = (model.embed(molecules(30), task="bbbp", pooling=pooling) for model in pair)
    assert all(a.dtype == np.float32 and np.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))


def test_scores_of_targets_are_those_of_the_cpu(pair: tuple[Mammal, Mammal], molecules) -> None:
    rows = pd.DataFrame({"smiles": molecules(20), "mass": range(40, 60)})
    expected, found = (model.score(rows, task="with_number") for model in pair)
    require_close(found, expected)


def test_scores_of_variants_are_those_of_the_cpu(pair: tuple[Mammal, Mammal]) -> None:
    places = [40, 90, 140, 200]
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    rows = pd.DataFrame({
        "sequence": [f"{BASES[p - 30 : p]}[{BASES[p]}/{other[BASES[p]]}]{BASES[p + 1 : p + 31]}" for p in places]
    })  # fmt: skip
    expected, found = (model.score_variants(rows, task="dna_denoising", strands="both") for model in pair)
    require_close(found, expected, 1e-3)


GREEDY = {"do_sample": False}
BEAMS = {"do_sample": False, "num_beams": 4}
SAMPLED = {"do_sample": True, "temperature": 0.9}


@pytest.mark.parametrize(
    "how",
    [
        GREEDY,
        BEAMS,
        {**BEAMS, "num_beam_groups": 2, "diversity_penalty": 0.5},
        SAMPLED,
        {**SAMPLED, "top_k": 20, "top_p": 0.95},
        {**SAMPLED, "faithful": True, "max_new_tokens": 8},
        {**GREEDY, "repetition_penalty": 1.3, "no_repeat_ngram_size": 3},
    ],
    ids=["greedy", "beams", "groups", "sampled", "nucleus", "faithful", "no repeats"],
)
def test_molecules_by_the_grammar_are_those_of_the_cpu(how: dict[str, Any], pair: tuple[Mammal, Mammal]) -> None:
    n = (2 if how.get("faithful") else 12) if how["do_sample"] else how.get("num_beams", 1)
    texts = []
    for model in pair:
        made = model.generate(task="molecules", n=n, seed=3, **{"max_new_tokens": 40, **how})
        assert made["error"].isna().all() and all(canonical_or_none(text) for text in made["text"])
        texts.append(made["text"].tolist())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("how", [GREEDY, BEAMS, SAMPLED], ids=["greedy", "beams", "sampled"])
def test_numbers_in_sequences_are_those_of_the_cpu(how: dict[str, Any], pair: tuple[Mammal, Mammal], molecules) -> None:
    expected, found = (model.generate(molecules(6), "with_number", seed=1, **how) for model in pair)
    require_close(found, expected, 1e-3)


def test_filled_parts_are_those_of_the_cpu(pair: tuple[Mammal, Mammal]) -> None:
    expected, found = (model.infill(["MK___IA", "MKTA__IAKQR"], task="proteins") for model in pair)
    require_close(found, expected, 1e-3)


def test_sampling_in_half_precision_keeps_to_the_grammar(bundle: Path, device: str) -> None:
    model = mammal.load(bundle, device=device, dtype="bfloat16")
    made = model.generate(task="molecules", n=64, seed=0, max_new_tokens=60)
    assert made["error"].isna().all() and all(canonical_or_none(text) for text in made["text"])
    assert made["text"].nunique() > 8


def test_a_model_moves_and_is_saved_from_the_device(bundle: Path, device: str, molecules, tmp_path: Path) -> None:
    model = mammal.load(bundle, device="cpu")
    expected = model.predict(molecules(10), task="esol")
    moved = model.to(device)
    require_close(moved.predict(molecules(10), task="esol"), expected)
    require_close(
        mammal.load(moved.save(tmp_path / "saved"), device="cpu").predict(molecules(10), task="esol"), expected
    )
