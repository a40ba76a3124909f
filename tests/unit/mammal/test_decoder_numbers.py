"""Numbers from the decoder: chains, numbers in beam search, and the head that models get for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mammal
from mammal.configuration.compose import compose, parse_arguments
from mammal.decoding.generate_batch import GenerationConfig, generate
from mammal.errors import ConfigError
from mammal.inference.api import Mammal
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.batch import Batch
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer
from mammal.training.build import build_model

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "N"]
SIZES = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 2}
SCALAR = 30
"""Of the models of 40 tokens."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def network(tokenizer: Tokenizer, **changes: object) -> MammalModel:
    """Random weights, large enough that what is fed moves what comes out."""
    torch.manual_seed(0)
    heads = {"scalars_prediction_head": {"layers": []}, "support_input_scalars": True, "decoder_scalars": True}
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, **{**SIZES, **heads, **changes})).eval()
    with torch.no_grad():
        for head in (model.decoder_scalars_head, model.scalars_prediction_head):
            if head is not None:
                head.last.weight.normal_(0.0, 1.0)
    return model


@pytest.fixture(scope="module")
def chain(tokenizer: Tokenizer) -> Task:
    prompt = {"input": "{smiles:smiles}", "target": "<SENTINEL_ID_0> {a:scalar} <SENTINEL_ID_1> {b:scalar} {c:scalar}"}
    declared = {"name": "t", "kind": "regression", "mode": "decoder", "chain": True, "scale": {"mean": 5.0, "std": 2.0}}
    return build_task(load_task({**declared, "prompt": prompt}), tokenizer)


@torch.inference_mode()
def test_a_chain_feeds_each_number_before_the_next_is_read(chain: Task, tokenizer: Tokenizer):
    """Fed by hand as in training, the model gives the same numbers; fed others, it gives others."""
    model = network(tokenizer)
    asked = chain.collate([chain.encode({"smiles": smiles}, i) for i, smiles in enumerate(MOLECULES)])
    said = chain.decode(model(asked), asked)
    rows = [
        {"smiles": smiles} | {c: repr(p.for_target(c).value) for c in "abc"}
        for smiles, p in zip(MOLECULES, said, strict=True)
    ]
    taught = chain.collate([chain.encode(row, i, target=True) for i, row in enumerate(rows)])
    assert not taught.feeds_back and asked.feeds_back
    torch.testing.assert_close(model(taught).values_DR, taught.label_values_DR, atol=1e-5, rtol=1e-4)
    others = chain.collate([chain.encode(row | {"a": "99"}, i, target=True) for i, row in enumerate(rows)])
    moved = (model(others).values_DR - model(taught).values_DR).abs()
    assert moved[:, 0].max() < 1e-6 and moved[:, 1:].min() > 1e-4


def test_numbers_of_a_chain_do_not_depend_on_the_batch(chain: Task, tokenizer: Tokenizer):
    model = Mammal(network(tokenizer), tokenizer, [chain])
    together = model.predict(MOLECULES)
    assert list(together.columns) == ["smiles", "a_prediction", "b_prediction", "c_prediction", "error"]
    alone = pd.concat([model.predict([smiles]) for smiles in MOLECULES], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-4)
    assert together.a_prediction.nunique() == len(MOLECULES)


def test_a_bundle_keeps_the_chain_and_its_head(chain: Task, tokenizer: Tokenizer, tmp_path: Path):
    model = Mammal(network(tokenizer), tokenizer, [chain])
    loaded = mammal.load(model.save(tmp_path / "bundle"))
    assert loaded.model.config.decoder_scalars
    pd.testing.assert_frame_equal(loaded.predict(MOLECULES), model.predict(MOLECULES))


def test_training_gives_a_model_the_head_that_a_target_needs(chain: Task, tokenizer: Tokenizer, tmp_path: Path):
    def built(tasks: dict[str, Task], *words: str) -> MammalModel:
        config = compose("train", parse_arguments("train", ["task=melting_point", "model=debug", *words]))
        return build_model(config, tokenizer, tasks)

    plain = built({"melting_point": build_task(load_task("melting_point"), tokenizer)})
    assert plain.decoder_scalars_head is None
    assert built({"t": chain}).decoder_scalars_head is not None
    folder = Mammal(plain.eval(), tokenizer).save(tmp_path / "plain")
    grown = built({"t": chain}, f"init={folder}").eval()
    torch.testing.assert_close(grown.t5_model.shared.weight, plain.t5_model.shared.weight)
    answers = Mammal(grown, tokenizer, [chain]).predict(MOLECULES)
    assert np.isfinite(answers[["a_prediction", "b_prediction", "c_prediction"]].to_numpy()).all()
    loaded = mammal.load(Mammal(grown, tokenizer, [chain]).save(tmp_path / "grown"))
    pd.testing.assert_frame_equal(loaded.predict(MOLECULES), answers)


def test_a_model_without_the_head_says_so(chain: Task, tokenizer: Tokenizer):
    prompt = {"input": "{smiles:smiles}", "target": "<SENTINEL_ID_0> {t:smiles} <SENTINEL_ID_1> {a:scalar}"}
    text = build_task(load_task({"name": "u", "kind": "generation", "prompt": prompt}), tokenizer)
    model = Mammal(network(tokenizer, decoder_scalars=False), tokenizer, [chain, text])
    for ask in (
        lambda: model.predict(MOLECULES, task="t"),
        lambda: model.predict(MOLECULES, task="u"),
        lambda: model.generate(MOLECULES, task="u"),
    ):
        with pytest.raises(ConfigError, match="decoder_scalars"):
            ask()


# Numbers along sequences that are searched for


@pytest.fixture
def speaking(lively_model: Callable[..., MammalModel]) -> MammalModel:
    return lively_model(decoder_scalars=True, support_input_scalars=True)


def taught(batch: Batch, row: int, ids_T: np.ndarray, values_T: np.ndarray) -> Batch:
    """One row that is fed what was generated for it."""
    fed = torch.from_numpy(np.concatenate([[np.nan], values_T[:-1]])).float().unsqueeze(0)
    steps = len(ids_T)
    return replace(
        batch,
        wants=("values",),
        ids_BL=batch.ids_BL[row : row + 1],
        mask_BL=batch.mask_BL[row : row + 1],
        read_DR=torch.arange(steps).unsqueeze(0),
        decoder_ids_DT=torch.from_numpy(np.concatenate([[16], ids_T[:-1]])).unsqueeze(0),
        decoder_mask_DT=torch.ones(1, steps, dtype=torch.bool),
        decoder_values_DT=fed.nan_to_num(),
        decoder_has_value_DT=~fed.isnan(),
        row_ids=(),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 4, "num_return_sequences": 4},
        {"num_beams": 4, "num_return_sequences": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
        {"do_sample": True, "num_return_sequences": 3},
    ],
)
def test_values_line_up_with_every_sequence(
    speaking: MammalModel, prompts: Callable[..., Batch], options: dict[str, object]
):
    batch = prompts((5, 2, 7))
    config = GenerationConfig(max_new_tokens=7, allowed_ids=[SCALAR, 5, 8, 9], scalar_id=SCALAR, **options)
    made = generate(speaking, batch, config)
    scalars = 0
    for row, (sequences, values) in enumerate(zip(made.ids_list, made.values_list, strict=True)):
        for ids_T, values_T in zip(sequences, values, strict=True):
            places = ids_T == SCALAR
            assert np.array_equal(places, ~np.isnan(values_T))
            with torch.inference_mode():
                expected_T = speaking(taught(batch, row, ids_T, values_T)).values_DR[0].numpy()
            np.testing.assert_allclose(values_T[places], expected_T[places], atol=1e-4)
            scalars += int(places.sum())
    assert scalars > 10


def test_generated_numbers_do_not_depend_on_the_batch(speaking: MammalModel, prompts: Callable[..., Batch]):
    batch = prompts((5, 2, 7))
    config = GenerationConfig(max_new_tokens=6, allowed_ids=[SCALAR, 5, 8], scalar_id=SCALAR, num_beams=3)
    together = generate(speaking, batch, config)
    for row in range(3):
        one = replace(batch, ids_BL=batch.ids_BL[row : row + 1], mask_BL=batch.mask_BL[row : row + 1])
        one = replace(one, read_DR=batch.read_DR[:1])
        alone = generate(speaking, one, config)
        assert np.array_equal(alone.ids_list[0][0], together.ids_list[row][0])
        np.testing.assert_allclose(alone.values_list[0][0], together.values_list[row][0], atol=1e-4)
