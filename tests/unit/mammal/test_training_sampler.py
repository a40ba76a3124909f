"""Which rows make which batch: nothing lost, nothing random, shares as asked, any stop taken up exactly."""

import numpy as np
import pytest

from mammal.errors import ConfigError
from mammal.training.sampler import Budget, MixtureSampler

BUDGET = Budget(tokens=400, rows=16, window=64)


def lengths(rows: int, low: int, high: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, rows)


TWO = {"short": lengths(200, 5, 30, 0), "long": lengths(60, 40, 120, 1)}


def sampler(tasks=TWO, **settings) -> MixtureSampler:
    return MixtureSampler(tasks, BUDGET, seed=3, **settings)


def test_one_task_sees_every_row_once_an_epoch():
    one = sampler({"short": TWO["short"]})
    for _ in range(2):
        rows = [row for _, batch in one for row in batch]
        assert sorted(rows) == list(range(200))


def test_batches_hold_one_task_and_stay_within_the_budget():
    for name, rows in sampler():
        assert len(rows) <= BUDGET.rows
        assert sum(TWO[name][row] for row in rows) <= BUDGET.tokens or len(rows) == 1


def test_epochs_differ_and_runs_do_not():
    first, second = sampler(), sampler()
    epochs = [list(first), list(first)]
    assert epochs[0] != epochs[1]
    assert [list(second), list(second)] == epochs
    assert list(MixtureSampler(TWO, BUDGET, seed=4)) != epochs[0]


def test_mixture_of_equal_rates_sees_rows_about_once():
    both = sampler()
    seen = np.zeros(200)
    for _ in range(10):
        for name, rows in both:
            if name == "short":
                seen[rows] += 1
    assert seen.min() >= 8 and seen.max() <= 12


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 3_400 / (3_400 + 4_800)),
        ({"rates": {"short": 3.0}}, 10_200 / (10_200 + 4_800)),
        ({"rates": {"short": 0.0}}, 0.0),
        ({"temperature": 1e6}, 0.5),
    ],
)
def test_shares_follow_rates_sizes_and_temperature(settings, share):
    names = [name for name, _ in sampler(**settings)]
    assert names.count("short") / len(names) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("served", [0, 1, 7, "all"])
@pytest.mark.parametrize("epoch", [0, 2])
def test_taken_up_anywhere_it_goes_on_as_it_would_have(epoch, served):
    straight = sampler(rates={"short": 2.5})
    for _ in range(epoch):
        list(straight)
    served = len(straight) if served == "all" else served
    batches = iter(straight)
    for _ in range(served):
        next(batches)
    resumed = sampler(rates={"short": 2.5})
    resumed.load_state_dict(straight.state_dict())
    rest = list(batches)
    if rest:
        assert list(resumed) == rest
    assert list(resumed) == list(straight)


def test_processes_share_an_epoch_without_overlap():
    alone = list(sampler())
    ranks = [list(sampler(rank=rank, world=2)) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == len(alone) // 2
    assert [batch for pair in zip(*ranks, strict=True) for batch in pair] == alone[: 2 * (len(alone) // 2)]


def test_a_row_above_the_budget_is_a_batch_of_its_own():
    batches = list(sampler({"huge": np.array([1_000, 10, 10])}))
    assert ("huge", [0]) in batches


@pytest.mark.parametrize(
    ("tasks", "settings", "what"),
    [
        (TWO, {"rates": {"shrot": 1.0}}, "short"),
        (TWO, {"rates": {"short": -1.0}}, "must not be negative"),
        (TWO, {"temperature": 0.0}, "temperature"),
        ({"none": np.array([], dtype=int)}, {}, "no training row"),
    ],
)
def test_impossible_mixtures_are_refused(tasks, settings, what):
    with pytest.raises(ConfigError, match=what):
        sampler(tasks, **settings)


def test_a_place_of_other_tasks_is_refused():
    with pytest.raises(ConfigError, match="other tasks"):
        sampler().load_state_dict(sampler({"short": TWO["short"]}).state_dict())
