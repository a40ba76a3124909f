"""Fine-tuning a model that lacks a head or a projection of the task: it is added, trained, saved, and reported."""

import pytest
import torch

import mammal
from mammal.errors import ConfigError
from mammal.training.run import train

BARE = ("model.scalars_prediction_head=null", "model.support_input_scalars=false", "model.encoder_head_layers=null")
QUICK = ("trainer.max_epochs=1", "data.tokens_per_batch=200", "test=false")
ENCODER_LABELS = ("task=toy_classification", "task.mode=encoder", "task.prompt.input='<MASK> {smiles:smiles}'")
NUMBER_IN = ("task=toy_classification", "task.prompt.input='<SENTINEL_ID_0> {number:scalar} {smiles:smiles}'")


@pytest.fixture
def base(toy, tmp_path):
    """A model without any head but that of the decoder, as T5 checkpoints are."""
    return train(toy("task=toy_denoising", *QUICK, *BARE, f"output={tmp_path / 'base'}")).bundle


@pytest.mark.parametrize("adapt", [("adapt=full",), ("adapt=lora", "adapt.save=adapters"), ("adapt=head",)])
def test_a_regression_gets_a_scalar_head(adapt, toy, base, tmp_path, capsys):
    with pytest.raises(ConfigError, match="no scalar head on its encoder"):
        mammal.load(base).predict(["CCO"], {**TASK, "scale": {"mean": 0.0, "std": 1.0}})
    result = train(toy("task=toy_regression", *QUICK, *adapt, f"init={base}", f"output={tmp_path / 'tuned'}"))
    assert "toy_regression: the model has no scalar head of the encoder" in capsys.readouterr().err
    tuned = mammal.load(result.bundle)
    assert tuned.predict(["CCO", "CCN"])["prediction"].notna().all()
    head = tuned.model.scalars_prediction_head
    assert head is not None and head.last.weight.abs().sum() > 0
    again = mammal.load(tuned.save(tmp_path / "again"))
    assert torch.equal(again.model.scalars_prediction_head.last.weight, head.last.weight)
    train(toy("task=toy_regression", *QUICK, f"init={result.bundle}", f"output={tmp_path / 'more'}"))
    assert "the model has no" not in capsys.readouterr().err


TASK = {
    "name": "number",
    "kind": "regression",
    "mode": "encoder",
    "prompt": {"input": "<MASK> {smiles:smiles}", "target": "{number:scalar}"},
}


@pytest.mark.parametrize(
    ("words", "part"),
    [(ENCODER_LABELS, "token head of the encoder"), (NUMBER_IN, "projection of numbers in prompts")],
)
@pytest.mark.parametrize("adapt", [(), ("adapt=lora", "adapt.save=adapters")])
def test_other_parts_are_added_too(words, part, adapt, toy, base, tmp_path, capsys):
    result = train(toy(*words, *QUICK, *adapt, f"init={base}", f"output={tmp_path / 'tuned'}"))
    assert f"toy_classification: the model has no {part}; a new one is trained" in capsys.readouterr().err
    tuned = mammal.load(result.bundle)
    rows = [{"smiles": "CCO", "number": "0.1"}, {"smiles": "CCO", "number": "900"}]
    answers = tuned.predict(rows)["probability"]
    assert answers.notna().all()
    assert (answers[0] != answers[1]) == ("number" in "".join(words))


def test_a_new_model_gets_what_its_task_needs(toy, capsys):
    result = train(toy("task=toy_regression", *QUICK, *BARE))
    assert "no scalar head of the encoder" in capsys.readouterr().err
    assert mammal.load(result.bundle).predict(["CCO"])["prediction"].notna().all()
