"""docs/data.md: its table of tasks is that of the YAML files, its layout that of the sources, its example a task.

Run as a script, it updates the table.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from mammal.commands.list_tasks import read_all_tasks, tasks_markdown
from mammal.tasks.declaration.data_config import SOURCES
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.splits import WAYS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/data.md"
TABLE = re.compile(r"(<!-- tasks:[^\n]*-->\n).*?(<!-- end of tasks -->)", re.S)

FAMILIES = "moleculenet|tdc|peptide|dti|cell|protein|ppi|tcr|antibody|dna"
"""What folders of local copies begin with."""


def with_table(page: str) -> str:
    tasks, broken = read_all_tasks()
    assert not broken, broken
    return TABLE.sub(lambda marks: f"{marks[1]}\n" + "\n".join(tasks_markdown(tasks)) + f"\n\n{marks[2]}", page)


def test_the_table_is_that_of_the_task_files(monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "tasks changed: python tests/unit/test_data_page.py"


def test_the_index_by_field_names_each_task_once():
    index = (ROOT / "docs/how-to.md").read_text(encoding="utf-8").partition("## Shipped tasks by field")[2]
    named = [task for row in re.findall(r"^\|.*\|(.*)\|$", index, re.M) for task in re.findall(r"`(\w+)`", row)]
    files = (ROOT / "configs/task").glob("[!_]*.yaml")
    assert sorted(named) == sorted(file.stem for file in files)


def test_every_folder_that_a_source_reads_is_in_the_layout():
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tasks/sources").glob("*.py"))
    named = rf'"((?:{FAMILIES})_\w+)'
    folders = {*re.findall(f"{named}/", code), *re.findall(rf'^[A-Z_]+ = {named}"$', code, re.M)}
    page = PAGE.read_text(encoding="utf-8")
    assert len(folders) > 20
    missing = [folder for folder in sorted(folders) if f"`{folder}/" not in page]
    assert not missing, "docs/data.md, 'Layout of local copies', needs a row for these folders"


def test_every_source_and_split_is_described():
    page = PAGE.read_text(encoding="utf-8")
    sources = [name for name in SOURCES if f"`{name}`" not in page.split("## Layout")[0]]
    assert not sources, "docs/data.md, 'Where rows come from', needs a row for these sources"
    splits = [name for name in WAYS if f"| `{name}` |" not in page]
    assert not splits, "docs/data.md needs a row for these splits"


def test_the_example_of_ones_own_task_is_one(tmp_path: Path):
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    declared = yaml.safe_load(block)
    file = tmp_path / f"{declared['name']}.yaml"
    file.write_text(block, encoding="utf-8")
    assert load_task(file).data.columns == {"smiles": "Structure", "pic50": "pIC50 (mean)"}


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
