"""Parameter-efficient fine-tuning: what is saved, as adapters or merged, and the refusal of a wrong base model."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

import mammal
from mammal.bundle.folder import read_bundle
from mammal.errors import BundleError, ConfigError
from mammal.training.run import train

MOLECULES = ["CCO", "CCN", "c1ccccc1", "CC(=O)O"]
QUICK = ("task=toy_regression", "trainer.max_epochs=2", "data.tokens_per_batch=200", "test=false")
LORA = ("adapt=lora", "adapt.rank=4", "adapt.alpha=16", "optim.lr=0.01")


@pytest.fixture
def base(toy, tmp_path):
    return train(toy(*QUICK, f"output={tmp_path / 'first'}")).bundle


def answers(source, **where) -> pd.Series:
    return mammal.load(source, **where).predict(MOLECULES)["prediction"]


def tuned(toy, base, folder, *words):
    return train(toy(*QUICK, f"init={base}", f"output={folder}", *words)).bundle


@pytest.mark.slow
@pytest.mark.parametrize("words", [LORA, ("adapt=head", "optim.lr=0.01")], ids=["lora", "head"])
def test_adapters_alone_answer_as_the_merged_model(toy, base, tmp_path, words):
    merged = tuned(toy, base, tmp_path / "merged", *words)
    adapters = tuned(toy, base, tmp_path / "adapters", *words, "adapt.save=adapters")
    assert answers(adapters).tolist() == pytest.approx(answers(merged).tolist(), abs=1e-6)
    assert answers(base).tolist() != pytest.approx(answers(merged).tolist(), abs=1e-6)
    names = {file.name for file in adapters.iterdir()}
    assert "adapters.safetensors" in names and "model.safetensors" not in names
    sizes = [(adapters / "adapters.safetensors").stat().st_size, (merged / "model.safetensors").stat().st_size]
    assert sizes[0] < sizes[1] / 2
    record = read_bundle(adapters).config["mammal"]["adaptation"]
    assert record["method"] == words[0].removeprefix("adapt=")
    if words is LORA:
        assert record["settings"] == {"rank": 4, "alpha": 16, "dropout": 0.0, "targets": ["q", "v"]}
        assert not read_bundle(merged).config["use_lora"]


@pytest.mark.slow
def test_adapters_know_their_base(toy, base, tmp_path, capsys):
    from mammal.cli import main

    adapters = tuned(toy, base, tmp_path / "tuned", *LORA, "adapt.save=adapters")
    expected = answers(adapters).tolist()
    assert main(["info", str(adapters)]) == 0
    reported = capsys.readouterr().out
    assert "adapted     lora (alpha 16" in reported and "rank 4" in reported and "base        not included" in reported

    with pytest.raises(ConfigError, match="itself an adapter bundle"):
        tuned(toy, adapters, tmp_path / "again", *LORA, "adapt.save=adapters")
    further = tuned(toy, adapters, tmp_path / "further", "optim.lr=1e-12")
    assert answers(further).tolist() == pytest.approx(expected, abs=1e-5)

    moved = Path(shutil.move(base, tmp_path / "elsewhere"))
    with pytest.raises(BundleError, match=r"its base is not at .*name the folder of the base"):
        mammal.load(adapters)
    assert answers(adapters, base=moved).tolist() == expected
    with pytest.raises(BundleError, match="of another base"):
        mammal.load(adapters, base=further)


@pytest.mark.slow
def test_published_layout_keeps_base_and_deltas_side_by_side(toy, base, tmp_path):
    before = mammal.load(base).model.state_dict()
    side_by_side = tuned(toy, base, tmp_path / "published", *LORA, "adapt.save=published")
    bundle = read_bundle(side_by_side)
    assert bundle.config["use_lora"]
    name, adapter = next(iter(bundle.model.adapters.items()))
    assert torch.equal(adapter.base_OW, before[name]) and adapter.scale == 4.0
    merged = tuned(toy, base, tmp_path / "merged", *LORA)
    assert answers(side_by_side).tolist() == pytest.approx(answers(merged).tolist(), abs=1e-6)
    with pytest.raises(ConfigError, match="has adapters already"):
        tuned(toy, side_by_side, tmp_path / "twice", *LORA)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["adapt=lora", "adapt.save=adapters"], "need a base"),
        (["adapt=full", "adapt.save=adapters"], "adapt=full can save merged"),
        (["adapt=lora", "adapt.save=adaptors"], "adapters"),
        (["adapt=lora", "adapt.targets=[qq]"], "qq"),
        (["adapt=lora", "adapt.rank=0"], "adapt"),
    ],
)
def test_what_cannot_be_saved_is_reported_before_training(toy, tmp_path, words, what):
    with pytest.raises(ConfigError) as reported:
        train(toy(*QUICK, *words))
    assert what in str(reported.value)
    assert not (tmp_path / "run/checkpoints").exists()
