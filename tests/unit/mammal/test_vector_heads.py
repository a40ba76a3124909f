"""Vector heads: what they read, and how they are added, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mammal.errors import BundleError, ConfigError
from mammal.model.checkpoint import load_checkpoint, save_checkpoint
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch, ModelOutput

SIZES = {"d_model": 24, "d_ff": 32, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 3}
LENGTHS = (7, 3, 5)


def model_with(**heads: int) -> MammalModel:
    torch.manual_seed(0)
    return MammalModel(ModelConfig(vocab_size=40, **SIZES, vector_heads=heads)).eval()


def batch_of(lengths: tuple[int, ...] = LENGTHS, *names: str) -> Batch:
    """Rows whose first token is `<MASK>` and whose last one is a tag; neither is content."""
    ids = torch.stack([torch.randint(0, 40, (max(LENGTHS),), generator=torch.manual_seed(n)) for n in lengths])
    mask = torch.arange(max(LENGTHS)) < torch.tensor(lengths).unsqueeze(1)
    ends = torch.arange(max(LENGTHS)) == torch.tensor(lengths).unsqueeze(1) - 1
    content = mask & ~ends & (torch.arange(max(LENGTHS)) > 0)
    reads = torch.zeros(len(lengths), 1, dtype=torch.long)
    return Batch("encoder", ("vectors", "hidden"), ids, mask, reads, vectors=names, content_BL=content)


def test_a_head_reads_the_mask_and_the_mean_of_the_content() -> None:
    model = model_with(a=4, b=9)
    with torch.no_grad():
        model.vector_heads["a"].bias.normal_()
        output = model(batch_of(LENGTHS, "a", "b"))
    assert {name: tuple(v.shape) for name, v in output.vectors.items()} == {"a": (3, 2, 4), "b": (3, 2, 9)}
    head, hidden = model.vector_heads["a"], output.hidden_BLW
    assert output.vectors["a"].dtype == torch.float32 and hidden is not None
    for row, length in enumerate(LENGTHS):
        at_mask, mean = hidden[row, 0], hidden[row, 1 : length - 1].mean(dim=0)
        for place, state in enumerate((at_mask, mean)):
            by_hand = head.weight @ state + head.bias
            torch.testing.assert_close(output.vectors["a"][row, place], by_hand)


def test_gradients_are_those_of_the_linear_layer() -> None:
    model = model_with(a=4)
    output = model(batch_of(LENGTHS, "a"))
    weights = torch.randn(3, 2, 4, generator=torch.manual_seed(1))
    (output.vectors["a"] * weights).sum().backward()
    hidden = output.hidden_BLW.detach()
    states = torch.stack([torch.stack([h[0], h[1 : n - 1].mean(dim=0)]) for h, n in zip(hidden, LENGTHS, strict=True)])
    torch.testing.assert_close(model.vector_heads["a"].weight.grad, torch.einsum("brf,brw->fw", weights, states))
    torch.testing.assert_close(model.vector_heads["a"].bias.grad, weights.sum(dim=(0, 1)))
    assert model.t5_model.shared.weight.grad.abs().sum() > 0


def test_outputs_do_not_depend_on_other_rows() -> None:
    model = model_with(a=4)
    with torch.inference_mode():
        together = model(batch_of(LENGTHS, "a")).vectors["a"]
        alone = torch.cat([model(batch_of((length,), "a")).vectors["a"] for length in LENGTHS])
    torch.testing.assert_close(together, alone)


def test_only_the_wanted_heads_are_computed_and_others_give_none() -> None:
    model = model_with(a=4, b=9)
    assert list(model(batch_of(LENGTHS, "b")).vectors) == ["b"]
    assert ModelOutput().vectors == {}


def test_a_head_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="no vector head 'morgan'"):
        model_with(a=4)(batch_of(LENGTHS, "morgan"))


def test_a_batch_without_a_mask_is_refused() -> None:
    from dataclasses import replace

    batch = replace(batch_of(LENGTHS, "a"), read_DR=torch.zeros(3, 0, dtype=torch.long))
    with pytest.raises(ConfigError, match="<MASK>"):
        model_with(a=4)(batch)


def test_new_heads_are_added_once_and_keep_their_width() -> None:
    model = model_with(a=4)
    before = model.vector_heads["a"].weight.clone()
    model.add_vector_heads({"a": 4, "b": 9})
    assert torch.equal(model.vector_heads["a"].weight, before) and model.config.vector_heads == {"a": 4, "b": 9}
    std = float(model.vector_heads["b"].weight.detach().std())
    assert not model.vector_heads["b"].bias.any() and std == pytest.approx(1 / SIZES["d_model"], rel=0.3)
    with pytest.raises(ConfigError, match="'a' vectors of width 4, not 5"):
        model.add_vector_heads({"a": 5})
    model.keep_vector_heads(["b", "c"])
    assert list(model.vector_heads) == ["b"] and model.config.vector_heads == {"b": 9}


@pytest.mark.parametrize("width", [0, -1, 2.5, True, "4"])
def test_widths_that_are_none_are_refused(width: object) -> None:
    with pytest.raises(ConfigError, match="width of the vector head 'a'"):
        ModelConfig(vocab_size=40, vector_heads={"a": width})
    with pytest.raises(ConfigError, match="width of the vector head 'a'"):
        model_with(b=2).add_vector_heads({"a": width})


def test_heads_are_saved_and_loaded(tmp_path: Path) -> None:
    model = model_with(a=4, b=9)
    save_checkpoint(model, tmp_path)
    loaded, config = load_checkpoint(tmp_path)
    assert config["mammal"]["model"] == {"vector_heads": {"a": 4, "b": 9}}
    assert loaded.config == model.config
    for name in ("a", "b"):
        assert torch.equal(loaded.vector_heads[name].weight, model.vector_heads[name].weight)


def test_a_width_that_does_not_fit_the_weights_is_refused(tmp_path: Path) -> None:
    model = model_with(a=4)
    save_checkpoint(model, tmp_path)
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(text.replace('"a": 4', '"a": 5'), encoding="utf-8")
    with pytest.raises(BundleError, match=r"vector_heads.a.weight has shape \[4, 24\], config.json requires \[5, 24\]"):
        load_checkpoint(tmp_path)


def test_a_model_without_heads_is_saved_as_before() -> None:
    assert "mammal" not in ModelConfig(vocab_size=40, **SIZES).to_published()
    assert not [name for name in model_with().state_dict() if "vector" in name]
