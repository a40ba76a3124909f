"""docs/tasks.md: its examples run, its declarations are tasks, and its table has every metric."""

import doctest
import re
from pathlib import Path

import pytest

from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import CENSORED, KINDS
from mammal.tasks.metrics.registry import METRICS

PAGE = Path(__file__).parents[3] / "docs" / "tasks.md"
TEXT = PAGE.read_text(encoding="utf-8")


def rows_under(heading: str) -> list[str]:
    """First cells of a section's table, without its header."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [line.split("|")[1].strip() for line in lines[2:]]


def test_every_example_gives_what_the_page_says():
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 10 and outcome.failed == 0


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL))
def test_declarations_are_tasks(block: str, tmp_path: Path):
    (tmp_path / "task.yaml").write_text(block, encoding="utf-8")
    assert load_task(tmp_path / "task.yaml").kind in KINDS


def test_every_metric_and_every_way_to_read_a_bound_stands_in_its_table():
    assert {name for cell in rows_under("Metrics") for name in re.findall(r"`(\w+)`", cell)} == set(METRICS)
    assert {re.findall(r"`(\w+)`", cell)[0] for cell in rows_under("Censored numbers")} == set(CENSORED)
