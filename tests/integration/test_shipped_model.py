"""The pretrained model that is installed with the package: found by its name, described, and better than chance."""

from __future__ import annotations

import random
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.bundle.adaptation import weights_hash
from mammal.bundle.folder import read_losses
from mammal.bundle.heads import read_heads
from mammal.bundle.locate import PRETRAINING_ROWS, locate
from mammal.configuration.arguments import Arguments
from mammal.configuration.compose import compose
from mammal.errors import BundleError
from mammal.inference.api import Mammal
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.training.build import build_model

NAME = "mammal-tiny"
ROOT = Path(__file__).resolve().parents[2]
MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "CCOC(=O)C1=C(C)NC(C)=C(C(=O)OC)C1c1cccc([N+](=O)[O-])c1",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
    "Clc1ccc(cc1)C(c1ccccc1)N1CCN(CC1)CCOCCO",
]
"""Aspirin, caffeine, nitrendipine, ibuprofen, glucose, hydroxyzine."""

HEAVY_CHAIN = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRY"
    "ADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS"
)
"""Variable domain of trastuzumab's heavy chain."""


@pytest.fixture(scope="module")
def model() -> Mammal:
    return mammal.load(NAME)


def test_it_is_small_and_says_what_it_is(model: Mammal) -> None:
    files = [file for file in model.folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    card = (model.folder / "README.md").read_text(encoding="utf-8")
    assert all(text in card for text in ("license: cc-by-sa-4.0", "experiment=pretrain", "adapt=probe"))
    assert all(f"## {title}" in card for title in ("Use", "Figures", "Training", "Data", "Intended use", "Limits"))
    assert all(source in card for source in ("ChEMBL", "ZINC", "MOSES", "PubChem", "UniProt", "SAbDab", "ClinVar"))
    losses = read_losses(model.folder)
    assert losses is not None and set(losses) == {"step", *model.tasks} and losses["step"].is_monotonic_increasing
    falls = losses.drop(columns="step").bfill()  # an objective can be added in the middle of a run
    assert (falls.iloc[-1] < falls.iloc[0]).all()


def test_the_benchmark_compares_it_with_its_own_shape_from_nothing(model: Mammal) -> None:
    spec = spec_from_file_location("bench_first_weights", ROOT / "benchmarks" / "bench_first_weights.py")
    assert spec is not None and spec.loader is not None
    benchmark = module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    config = compose("train", Arguments(overrides=["task=esol", *benchmark.shape_words()]))
    made = build_model(config, model.tokenizer, {"esol": build_task(load_task("esol"), model.tokenizer)}, report=False)
    blocks = [
        {name: weight.shape for name, weight in one.named_parameters() if ".block." in name}
        for one in (made, model.model)
    ]
    assert blocks[0] == blocks[1] and len(blocks[0]) > 50


def test_embeddings_follow_the_molecule_and_not_its_spelling(model: Mammal) -> None:
    other = ["OC(=O)c1ccccc1OC(C)=O", "O=c1n(C)c(=O)c2c(ncn2C)n1C"]
    both = model.embed(MOLECULES[:2] + other, task="pretrain_features", normalize=True)  # it keeps the spelling
    same, different = (both[0] @ both[2], both[1] @ both[3]), (both[0] @ both[1], both[0] @ both[3])
    assert min(same) > max(different)


def test_it_has_learned_descriptors(model: Mammal) -> None:
    rows = pd.DataFrame({"smiles": MOLECULES})
    found = mammal.evaluate(model, "pretrain_features", data=rows, baselines=False, neighbours=False, sensitivity=0)
    assert found.results[0].contenders[0].estimates["explained_variance"].value > 0.5


def test_a_name_belongs_to_its_structure(model: Mammal) -> None:
    isomers = ["CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Oc1ccc(C(=O)O)cc1", "CC(=O)Oc1cccc(C(=O)O)c1"]
    rows = [{"iupac": "2-acetyloxybenzoic acid", "smiles": smiles} for smiles in isomers]
    assert model.score(rows, task="pretrain_iupac_to_smiles")["log_likelihood"].idxmax() == 0


def test_an_antibody_is_more_likely_than_its_residues_in_another_order(model: Mammal) -> None:
    shuffled = ["".join(random.Random(seed).sample(HEAVY_CHAIN, len(HEAVY_CHAIN))) for seed in range(3)]
    rows = [{"sequence": sequence} for sequence in [HEAVY_CHAIN, *shuffled]]
    likelihoods = model.score(rows, task="pretrain_antibodies")["log_likelihood"]
    assert likelihoods[0] > likelihoods[1:].max() + 10


def test_free_samples_are_molecules(model: Mammal) -> None:
    samples = model.generate(n=8, task="pretrain_properties", seed=1)
    assert samples["text"].nunique() == 8 and samples["error"].isna().all()


def test_it_recognises_the_rows_of_its_corpus(model: Mammal) -> None:
    corpus = ["O=C(NC1CCCCCC1)c1cc(Br)cn1C", "CC(C)c1ncc(C(=O)NCc2noc(-c3ccco3)n2)cn1", "CC(C)(C)Sc1ccccc1"]
    assert model.seen(corpus).all()
    others = [f"{'C' * left}[Si]{'C' * right}S" for left in range(2, 14) for right in range(2, 14)]
    assert model.seen(others).mean() < 0.05
    assert not model.seen([HEAVY_CHAIN[::-1]], entity="protein").any()
    file = model.folder / PRETRAINING_ROWS
    assert file.stat().st_size < 1_300_000 and model.pretraining.sentence in (model.folder / "README.md").read_text()
    assert all(model.pretraining.rate(family) < 0.0105 for family in ("molecule", "protein", "dna"))


def test_heads_ask_their_encoder(model: Mammal) -> None:
    head = mammal.load(read_heads()[0].name)
    assert head.pretraining.sentence == model.pretraining.sentence


def test_a_wrong_name_is_answered_with_this_one() -> None:
    with pytest.raises(BundleError) as raised:
        mammal.load("mamal-tiny")
    assert f"did you mean {NAME}?" in str(raised.value)


def test_heads_that_ship_fit_their_encoder_and_the_page_lists_them() -> None:
    from mammal.training import make_heads

    listed, page = make_heads.listed_heads(), (ROOT / "docs" / "heads.md").read_text(encoding="utf-8")
    configs = {path.stem for path in (ROOT / "configs" / "task").glob("*.yaml")}
    assert set(listed) <= configs and all(f"`{name}`" in page for name in listed)
    wanted = weights_hash(locate(NAME))
    for head in read_heads():
        assert head.name in listed and head.size <= make_heads.MOST_BYTES and head.rows
        assert make_heads.base_hash(head.folder) == wanted, f"make heads: {head.name} was made for another encoder"
    assert all(line in page for line in make_heads.heads_table(read_heads()))
