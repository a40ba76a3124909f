"""docs/tasks.md: its examples run, its declarations are tasks, and its table has every metric."""

import doctest
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import CENSORED, KINDS
from mammal.tasks.metrics.registry import METRICS
from mammal.tasks.views.registry import views_of
from mammal.tokenization.entities import ENTITIES

PAGE = Path(__file__).parents[3] / "docs" / "tasks.md"
TEXT = PAGE.read_text(encoding="utf-8")


def rows_with_lines(heading: str) -> list[tuple[str, str]]:
    """First cells and lines of a section's table, without its header."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [(line.split("|")[1].strip(), line) for line in lines[2:]]


def rows_under(heading: str) -> list[str]:
    return [cell for cell, _ in rows_with_lines(heading)]


def test_every_example_gives_what_the_page_says():
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 10 and outcome.failed == 0


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL))
def test_declarations_are_tasks(block: str, tmp_path: Path):
    (tmp_path / "task.yaml").write_text(block, encoding="utf-8")
    assert load_task(tmp_path / "task.yaml").kind in KINDS


@pytest.mark.parametrize(("heading", "names"), [("Metrics", METRICS), ("Censored numbers", CENSORED)])
def test_every_metric_and_every_way_to_read_a_bound_has_its_line(heading: str, names: Collection[str]):
    cells = rows_under(heading)
    of_cell = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)[: None if names is METRICS else 1]}
    assert not set(names) - of_cell, f"docs/tasks.md, '{heading}', needs a line for these"
    assert not of_cell - set(names), f"docs/tasks.md, '{heading}', describes what does not exist"


def test_every_view_has_its_place():
    """An entity has a row if it has a view in addition to its own text."""
    rows = {cell.strip("`{}").partition(":")[2]: line for cell, line in rows_with_lines("Views")}
    several = {name: set(views_of(name)) for name in ENTITIES if len(views_of(name)) > 1}
    assert set(rows) == set(several), "docs/tasks.md, 'Views', needs a row for each of these entities"
    for name, views in several.items():
        named = set(re.findall(r"`(\w+)`", rows[name]))
        assert named == views, f"docs/tasks.md, 'Views', row of {name}: {', '.join(sorted(named ^ views))}"
