"""The published learning-rate schedules, step by step."""

import json
from pathlib import Path

import pytest
import torch

from mammal.training.optim import follow
from mammal.training.schedules import PublishedCosine, PublishedInverseSqrt, PublishedMultistep


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("cosine(num_warmup_steps=5,T_max=20,eta_min_factor=0.1)", PublishedCosine(5, 20, 0.1)),
        ("multistep(num_warmup_steps=5,milestones=[10,20],gamma=0.1)", PublishedMultistep(5, [10, 20], 0.1)),
        ("inverse_sqrt(num_warmup_steps=5,timescale=1)", PublishedInverseSqrt(5, 1)),
    ],
)
def test_published_trace(name, schedule, shared: Path):
    golden = json.loads((shared / "compat/fixtures/golden_lr_loss.json").read_text())[name]
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=1.0)
    scheduler = follow(optimizer, schedule, lambda step: step / len(golden))
    trace = []
    for _ in golden:
        trace.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert trace == pytest.approx(golden, abs=1e-12)
