"""Batches of training: no row is lost, nothing depends on chance, shares are kept, resuming is exact."""

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


@pytest.mark.parametrize("settings", [{}, {"rates": {"short": 3.0}}, {"temperature": float("inf")}])
def test_the_batches_of_a_task_are_spread_evenly(settings):
    mixed = sampler({**TWO, "more": lengths(90, 20, 60, 2)}, **settings)
    names = [name for name, _ in mixed]
    for task, count in mixed.quota.items():
        so_far = np.cumsum([name == task for name in names])
        fair = np.arange(1, len(names) + 1) * count / len(names)
        assert np.abs(so_far - fair).max() <= 2
    if settings.get("temperature"):
        assert all(len(set(names[i : i + 3])) == 3 for i in range(0, 3 * min(mixed.quota.values()), 3))


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


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_share_an_epoch_to_its_last_batch(world):
    alone = list(sampler())
    ranks = [list(sampler(rank=rank, world=world)) for rank in range(world)]
    wanted = [alone[i % len(alone)] for i in range(world * len(ranks[0]))]
    assert 0 <= len(wanted) - len(alone) < world
    for i, turn in enumerate(zip(*ranks, strict=True)):
        assert sorted(turn) == sorted(wanted[i * world : (i + 1) * world])


def test_no_process_has_one_task_alone():
    equal = {name: np.full(64, 50) for name in "abcdefgh"}
    for world in (2, 4, 8):
        names = [name for name, _ in sampler(equal, rank=0, world=world)]
        assert len(set(names)) >= 4


def test_one_batch_keeps_all_processes_busy():
    ranks = [list(sampler({"few": np.array([5, 6])}, rank=rank, world=4)) for rank in range(4)]
    assert all(len(rank) == 1 and sorted(rank[0][1]) == [0, 1] for rank in ranks)


def test_a_place_is_taken_up_by_another_number_of_processes():
    two = sampler(rank=0, world=2)
    batches = iter(two)
    for _ in range(6):
        next(batches)
    three = sampler(rank=0, world=3)
    three.load_state_dict(two.state_dict())
    assert next(iter(three)) in list(sampler())[12:15]


def test_small_tasks_are_repeated_as_often_as_allowed():
    tasks = {"small": lengths(20, 20, 30, 0), "large": lengths(2_000, 20, 30, 1), "middle": lengths(200, 20, 30, 2)}

    def passes(**settings) -> dict[str, float]:
        seen = dict.fromkeys(tasks, 0)
        for name, rows in sampler(tasks, temperature=float("inf"), **settings):
            seen[name] += len(rows)
        return {name: seen[name] / len(tasks[name]) for name in tasks}

    free, capped = passes(), passes(max_passes=3)
    assert free["small"] > 25 and free["middle"] > 3.5 and free["large"] < 0.5
    assert capped["small"] == pytest.approx(3, rel=0.2) and capped["middle"] == pytest.approx(3, rel=0.1)
    assert capped["large"] > 2 * free["large"]  # it takes what the others may not
    halves = passes(max_passes=0.5)  # nothing may take what is over, so the epoch is shorter
    assert [halves["middle"], halves["large"]] == pytest.approx([0.5, 0.5], rel=0.2)


def test_a_row_above_the_budget_is_a_batch_of_its_own():
    batches = list(sampler({"huge": np.array([1_000, 10, 10])}))
    assert ("huge", [0]) in batches


@pytest.mark.parametrize(
    ("tasks", "settings", "what"),
    [
        (TWO, {"rates": {"shrot": 1.0}}, "short"),
        (TWO, {"rates": {"short": -1.0}}, "must not be negative"),
        (TWO, {"temperature": 0.0}, "temperature"),
        (TWO, {"max_passes": 0}, "max_passes"),
        ({"none": np.array([], dtype=int)}, {}, "no training row"),
    ],
)
def test_impossible_mixtures_are_refused(tasks, settings, what):
    with pytest.raises(ConfigError, match=what):
        sampler(tasks, **settings)


def test_a_place_of_other_tasks_is_refused():
    with pytest.raises(ConfigError, match="other tasks"):
        sampler().load_state_dict(sampler({"short": TWO["short"]}).state_dict())
