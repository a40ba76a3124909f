"""The layout: imports have no circles, even late, by a string or for types; old names still work."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from mammal.renamed_modules import RENAMED

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"mammal": "mammal", "mammal.tokenization": "tokenization", "mammal.tasks": "tasks"}


def modules() -> dict[str, Path]:
    found = {}
    for package, folder in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = file
    return found


MODULES = modules()


def imported(node: ast.AST, *, types: bool = False) -> Iterator[str]:
    """Every module of ours that code below a node imports, at any depth, or names as a string.

    Args:
        types: count what is imported for type checking alone, too.
    """
    if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        for child in node.orelse:
            yield from imported(child)
        return
    if isinstance(node, ast.ImportFrom) and node.module:
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name if name in MODULES else node.module for name in full)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from imported(child, types=types)


@pytest.mark.parametrize("types", [False, True], ids=["run time", "type checking"])
def test_no_module_imports_what_imports_it(types: bool):
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}
    graph = {
        name: {m for m in imported(tree, types=types) if m in MODULES and m != name} for name, tree in trees.items()
    }
    graph.pop("mammal.renamed_modules")  # its table holds names for users; no module of ours imports an old one
    assert len(graph) > 300 and sum(map(len, graph.values())) > 1000
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_a_circle_hidden_in_a_function_or_a_string_is_seen():
    hidden = ast.parse("def f():\n    from mammal.tasks.task import Task\n    return load('mammal.model.model')")
    assert {*imported(hidden)} >= {"mammal.tasks.task", "mammal.model.model"}
    for_types = ast.parse("if TYPE_CHECKING:\n    from mammal.tasks.task import Task")
    assert not {*imported(for_types)} and {*imported(for_types, types=True)} == {"mammal.tasks.task"}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_new_names_exist_and_old_ones_are_free(old: str, new: str):
    assert new in MODULES
    assert old not in MODULES


@pytest.mark.parametrize("old", ["mammal.questions", "mammal.tasks.readers", "mammal.report.results"])
def test_an_old_name_imports_the_new_module_with_a_warning(old: str):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=RENAMED[old]):
        module = importlib.import_module(old)
    assert module is importlib.import_module(RENAMED[old])
    assert module.__spec__.name == module.__name__ == RENAMED[old]


def test_an_old_name_in_a_package_is_the_new_one_with_a_warning():
    metrics = importlib.import_module("mammal.tasks.metrics")
    with pytest.warns(DeprecationWarning, match=r"mammal\.tasks\.metrics\.evaluate is now .*compute_metrics"):
        old = metrics.evaluate
    assert old is metrics.compute_metrics
    assert "evaluate" not in dir(metrics)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("mammal.evaluation.tables", "title", "result_title"),
        ("mammal.tasks.baselines.estimators", "predicted", "fit_and_predict"),
        ("mammal.tasks.probes.choose", "predicted", "probe_outputs"),
        ("mammal.tasks.probes.probe", "title", "probe_title"),
        ("mammal.tasks.probes.task_probes", "Column", "ProbeTarget"),
    ],
)
def test_an_old_name_in_a_module_is_the_new_one_with_a_warning(module: str, old: str, new: str):
    home = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{old} is now {module}\.{new}") as warned:
        found = getattr(home, old)
    assert found is getattr(home, new)
    assert warned[0].filename == __file__
    with pytest.raises(AttributeError, match="nothing"):
        home.nothing  # noqa: B018


def test_no_code_of_ours_imports_an_old_name():
    script = "import warnings; warnings.filterwarnings('error', message='.*the old name goes')\n"
    script += "import mammal.cli, mammal.jobs.model_job, mammal.inference.api, mammal.training.run"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
