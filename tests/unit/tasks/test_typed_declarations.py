"""Declarations that need no conversion are built without OmegaConf, and are the same."""

from __future__ import annotations

from typing import Any

import pytest

from mammal.tasks import load_task
from mammal.tasks.declaration import check
from mammal.tasks.declaration.registry import list_tasks
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.declaration.typed import NotTyped, typed
from mammal.tasks.errors import TaskError

BASE = {"name": "own", "kind": "regression", "prompt": {"input": "{smiles:smiles}", "target": "{y:scalar}"}}


@pytest.mark.parametrize("name", list_tasks())
def test_each_task_of_the_package_is_what_omegaconf_makes_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = load_task(name)

    def never(*_: Any) -> None:
        raise NotTyped

    monkeypatch.setattr(check, "typed", never)
    assert repr(load_task(name)) == repr(quick)


@pytest.mark.parametrize(
    "values",
    [
        {"version": "2"},
        {"number_weight": "0.5"},
        {"scale": {"log": "yes"}},
        {"metrics": ["rmse", 3]},
        {"about": "${name} of mine"},
        {"unit": {"y": None, "z": "K"}},
        {"labels": ("a", "b")},
    ],
)
def test_what_needs_a_conversion_gets_it(values: dict[str, Any]) -> None:
    declared = {**BASE, **values}
    expected = check._converted(declared, None)
    try:
        assert typed(declared, TaskConfig) == expected
    except NotTyped:
        assert check.task_config(declared) == expected


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"version": "two"}, "version"),
        ({"scale": {"mean": [1]}}, "mean"),
        ({"metrics": "rmse"}, r"metrics: must be a list \(metrics: \[rmse\]\)"),
    ],
)
def test_wrong_types_are_refused_with_their_key(values: dict[str, Any], named: str) -> None:
    with pytest.raises(TaskError, match=named):
        check.task_config({**BASE, **values}, where="own.yaml")


def test_a_whole_number_is_a_float_where_one_is_declared() -> None:
    assert type(typed({"number_weight": 2}, TaskConfig).number_weight) is float
    with pytest.raises(NotTyped):
        typed({"number_weight": True}, TaskConfig)


def test_values_are_copies() -> None:
    declared = {**BASE, "example": {"smiles": "C"}, "unit": {"y": "K"}}
    config = typed(declared, TaskConfig)
    config.example["smiles"], config.unit["y"] = "N", "s"
    assert declared["example"] == {"smiles": "C"} and declared["unit"] == {"y": "K"}
