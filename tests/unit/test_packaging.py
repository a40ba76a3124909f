"""The wheel contains every sub-package and every asset of the repository, and works without the repository."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "mammal": "mammal",
    "tokenization": "mammal/tokenization",
    "tasks": "mammal/tasks",
    "configs": "mammal/configs",
    "checkpoints": "mammal/checkpoints",
}
"""Folder of the checkout -> folder of the wheel, as pyproject.toml maps them."""

BUILD_LEFTOVERS = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", ".*_cache")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that the checkout gains no `build/` folder with yesterday's files in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=BUILD_LEFTOVERS)
    for page in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / page, source / page)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("mammal-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked where no checkout is near."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run_installed(installed: Path, code: str) -> str:
    """Standard output of `code`, run with the unpacked wheel first on the path and away from the checkout."""
    environment = os.environ | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=installed, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_of_checkout() -> set[str]:
    """Every file below the package folders, by its name in the wheel."""
    return {
        str(inside / path.relative_to(ROOT / folder))
        for folder, inside in ((folder, Path(inside)) for folder, inside in FOLDERS.items())
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_wheel_holds_every_module_yaml_and_asset(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing = files_of_checkout() - inside
    assert not missing, f"list the package or the file type in pyproject.toml: {sorted(missing)}"


def test_every_package_is_imported_from_the_wheel(installed: Path):
    modules = installed.rglob("mammal/**/__init__.py")
    packages = sorted(".".join(module.parent.relative_to(installed).parts) for module in modules)
    assert {"mammal", "mammal.tokenization", "mammal.tasks", "mammal.configs", "mammal.checkpoints"} <= set(packages)
    code = f"import importlib, json\nprint(json.dumps([importlib.import_module(p).__file__ for p in {packages!r}]))"
    origins = json.loads(run_installed(installed, code).splitlines()[-1])
    assert all(Path(origin).is_relative_to(installed) for origin in origins), origins


def test_assets_of_the_wheel_work(installed: Path):
    code = (
        "from mammal.tokenization import Tokenizer\n"
        "from mammal.tasks.declaration.registry import list_tasks, load_task\n"
        "assert len(Tokenizer.load(None).alphabets) >= 4\n"
        "print(len([load_task(name) for name in list_tasks()]))"
    )
    names = {path.stem for path in (ROOT / "configs" / "task").glob("*.yaml")}
    tasks = {name for name in names if name != "schema" and not name.startswith("_")}
    assert int(run_installed(installed, code).splitlines()[-1]) == len(tasks)


def test_the_pretrained_model_opens_from_the_wheel(installed: Path):
    code = (
        "import mammal\n"
        "model = mammal.load('mammal-tiny')\n"
        "print(model.folder)\n"
        "print(model.embed(['CCO', 'c1ccccc1'], entity='smiles').shape)"
    )
    folder, shape = run_installed(installed, code).splitlines()[-2:]
    assert Path(folder).is_relative_to(installed) and shape == "(2, 192)"
