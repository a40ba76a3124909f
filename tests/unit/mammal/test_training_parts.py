"""Schedules, optimiser, adapters and history of a run, each tested separately."""

import itertools

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from mammal.errors import ConfigError
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.training.adapt import adapt, fold_adapters, record
from mammal.training.history import METRICS, one_history
from mammal.training.optim import adamw, layer_factors
from mammal.training.schedules import PublishedCosine, WarmupConstant, WarmupCosine
from mammal.training.trainer import duration, planned_steps

SIZES = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 1}


def tiny_model() -> MammalModel:
    torch.manual_seed(0)
    return MammalModel(ModelConfig(60, **SIZES, scalars_prediction_head={"layers": []}, support_input_scalars=True))


def learning(model: MammalModel) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_cosine_rises_and_ends_on_its_floor():
    schedule = WarmupCosine(warmup_steps=10, floor=0.1)
    factors = [schedule(step, step / 1_000) for step in range(1_001)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == pytest.approx(1.0, abs=1e-3)
    assert factors[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))


def test_a_short_run_rises_over_its_first_tenth():
    schedule = WarmupCosine(warmup_steps=1_000)
    assert max(schedule(step, step / 100) for step in range(101)) > 0.95


def test_a_run_that_time_ends_follows_the_clock():
    schedule = WarmupCosine(warmup_steps=10, floor=0.0)
    assert schedule(500, 1.0) == pytest.approx(0.0) and schedule(500, 0.5) == pytest.approx(0.5)


def test_constant_stays():
    schedule = WarmupConstant(warmup_steps=4)
    assert [schedule(step, step / 1_000) for step in (0, 3, 500, 999)] == [0.25, 1.0, 1.0, 1.0]


def test_published_cosine_drops_at_the_absolute_step():
    schedule = PublishedCosine(num_warmup_steps=300, T_max=10_000)
    assert schedule(9_999) > 0.102 and schedule(10_000) == 0.1


def test_norms_and_position_tables_do_not_decay():
    model = tiny_model()
    groups = adamw(model, lr=1e-3, weight_decay=0.1).param_groups
    names = {id(weight): name for name, weight in model.named_parameters()}
    plain = {names[id(w)] for group in groups if group["weight_decay"] == 0 for w in group["params"]}
    assert any("layer_norm" in name for name in plain) and any("relative_attention_bias" in name for name in plain)
    assert "project_input_scalars.bias" in plain and "t5_model.shared.weight" not in plain
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_published_optimiser_decays_all():
    assert len(adamw(tiny_model(), lr=1e-5, decay_all=True).param_groups) == 1


def test_every_weight_without_two_dimensions_is_spared():
    model = tiny_model()
    decayed = {id(w) for g in adamw(model, lr=1e-3).param_groups if g["weight_decay"] for w in g["params"]}
    assert all(weight.ndim >= 2 for weight in model.parameters() if id(weight) in decayed)


def test_rates_fall_from_the_heads_to_the_embeddings():
    model = tiny_model()
    factors = layer_factors([name for name, _ in model.named_parameters()], 0.5)
    block, last = "t5_model.{}.block.{}.layer.0.SelfAttention.q.weight", "t5_model.{}.final_layer_norm.weight"
    expected = {
        "scalars_prediction_head.classifier.0.weight": 1.0,
        "t5_model.lm_head.weight": 1.0,
        last.format("encoder"): 1.0,
        block.format("encoder", 1): 0.5,
        block.format("encoder", 0): 0.25,
        block.format("decoder", 0): 0.5,
        "t5_model.shared.weight": 0.125,
        "project_input_scalars.weight": 0.125,
    }
    assert {name: factors[name] for name in expected} == expected
    names = {id(weight): name for name, weight in model.named_parameters()}
    groups = adamw(model, lr=0.1, layer_decay=0.5).param_groups
    assert groups[0]["lr"] == 0.1  # the rate that is logged
    assert all(group["lr"] == pytest.approx(0.1 * factors[names[id(w)]]) for group in groups for w in group["params"])
    assert sum(len(group["params"]) for group in groups) == len(names)


def test_layers_of_an_adapted_model_are_distinguished():
    model = tiny_model()
    adapt(model, OmegaConf.create({"method": "lora", "rank": 2, "alpha": 2, "dropout": 0.0, "targets": ["q"]}))
    rates = {group["lr"] for group in adamw(model, lr=1.0, layer_decay=0.5).param_groups}
    assert rates == {1.0, 0.5, 0.25, 0.125}


def test_two_small_batches_accumulate_to_one_of_twice_the_size():
    gradients = []
    for parts in ([slice(0, 4)], [slice(0, 2), slice(2, 4)]):
        model = tiny_model().eval()  # no dropout
        for rows in parts:
            (model(_batch(rows)).values_DR.square().mean() / len(parts)).backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    assert all(torch.allclose(gradients[0][name], gradients[1][name], atol=1e-6) for name in gradients[0])


def test_a_negative_rate_is_refused():
    with pytest.raises(ConfigError, match="optim"):
        adamw(tiny_model(), lr=-1.0)


def test_head_alone_learns():
    model = tiny_model()
    adapt(model, OmegaConf.create({"method": "head"}))
    assert "scalars_prediction_head.classifier.0.weight" in learning(model)
    assert not any(".block." in name or "shared" in name for name in learning(model))


def test_lora_learns_deltas_that_fold_into_the_weights(tmp_path):
    from mammal.model.checkpoint import load_checkpoint, save_checkpoint

    model = tiny_model().eval()
    adapt(model, OmegaConf.create({"method": "lora", "rank": 4, "alpha": 16, "dropout": 0.0, "targets": ["q", "v"]}))
    inside = {name for name in learning(model) if name.startswith("t5_model")}
    assert inside and all("lora_" in name for name in inside)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    batch = _batch()
    before = model(batch).values_DR
    fold_adapters(model)
    assert torch.allclose(model(batch).values_DR, before, atol=1e-5)
    assert not any("lora" in name for name, _ in model.named_parameters())
    save_checkpoint(model, tmp_path)
    again, config = load_checkpoint(tmp_path)
    assert config["use_lora"] and torch.allclose(again(batch).values_DR, model(batch).values_DR, atol=1e-6)


def test_heads_are_kept_without_the_adapters_that_their_base_brings(tmp_path):
    from mammal.model.checkpoint import save_checkpoint
    from mammal.model.delta import learned_tensors

    lora = {"method": "lora", "rank": 4, "alpha": 16, "dropout": 0.0, "targets": ["q", "v"]}
    model = tiny_model()
    adapt(model, OmegaConf.create(lora))
    fold_adapters(model)
    save_checkpoint(model, tmp_path / "base")
    head = OmegaConf.create({"init": str(tmp_path / "base"), "adapt": {"method": "head", "save": "adapters"}})
    adapt(model, head.adapt)
    assert record(model, head, tmp_path / "tuned").method == "head"
    assert not any("t5_model.encoder" in name for name in learned_tensors(model))


def test_unknown_ways_to_adapt_are_refused():
    with pytest.raises(ConfigError, match="lora"):
        adapt(tiny_model(), OmegaConf.create({"method": "loar"}))
    wrong = {"method": "lora", "rank": 4, "alpha": 8, "dropout": 0.0, "targets": ["qq"]}
    with pytest.raises(ConfigError, match="qq"):
        adapt(tiny_model(), OmegaConf.create(wrong))


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ({"max_epochs": 3}, 30),
        ({"max_epochs": 3, "max_steps": 7}, 7),
        ({"max_epochs": -1, "max_steps": 7}, 7),
        ({"max_epochs": -1}, None),
        ({"max_epochs": 0}, 0),
        ({"max_epochs": None, "max_steps": 0}, 0),
        ({"max_epochs": 2, "accumulate_grad_batches": 4}, 6),
        ({"max_epochs": 2, "limit_train_batches": 4}, 8),
        ({"max_epochs": 2, "limit_train_batches": 0.5}, 10),
    ],
)
def test_steps_are_known_beforehand(arguments, steps):
    assert planned_steps(arguments, 10) == steps


def test_durations():
    assert duration("00:04:30").total_seconds() == duration(270).total_seconds() == 270
    assert duration("01:00:00:00").days == 1 and duration(None) is None
    with pytest.raises(ConfigError, match="HH:MM:SS"):
        duration("4 min")


def test_history_is_one_table(tmp_path):
    def log(steps):
        pd.DataFrame({"step": steps, "train/loss": [float(s) for s in steps]}).to_csv(tmp_path / METRICS, index=False)

    log([0, 1, 2, 3, 4])
    with one_history(tmp_path, resumed_at=3):
        assert not (tmp_path / METRICS).exists()
        log([3, 4, 5])
    assert pd.read_csv(tmp_path / METRICS)["step"].tolist() == [0, 1, 2, 3, 4, 5]
    assert [file.name for file in tmp_path.iterdir()] == [METRICS]


def test_history_is_kept_by_the_first_process_alone(tmp_path, monkeypatch):
    from lightning.pytorch.utilities import rank_zero_only

    (tmp_path / METRICS).write_text("step,train/loss\n0,1.0\n")
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with one_history(tmp_path, resumed_at=1):
        assert [file.name for file in tmp_path.iterdir()] == [METRICS]
    assert [file.name for file in tmp_path.iterdir()] == [METRICS]


def test_history_survives_a_run_that_logs_nothing(tmp_path):
    pd.DataFrame({"step": [0], "train/loss": [1.0]}).to_csv(tmp_path / METRICS, index=False)
    with pytest.raises(RuntimeError), one_history(tmp_path, resumed_at=1):
        raise RuntimeError
    with one_history(tmp_path, resumed_at=1):
        pd.DataFrame({"step": [1], "train/loss": [0.5]}).to_csv(tmp_path / METRICS, index=False)
    assert pd.read_csv(tmp_path / METRICS)["step"].tolist() == [0, 1]


def _batch(rows: slice = slice(0, 2)):
    from mammal.tasks.batches.batch import Batch

    ids_BL = torch.arange(20, 44).reshape(4, 6)[rows]
    read_DR = torch.zeros(len(ids_BL), 1, dtype=torch.long)
    return Batch("encoder", ("values",), ids_BL, torch.ones_like(ids_BL, dtype=torch.bool), read_DR)
