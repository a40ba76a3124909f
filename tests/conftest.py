"""What all tests share: no network, and the fixtures that are kept outside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published fixtures: MAMMAL_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("MAMMAL_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"published fixtures are not at {folder}; set MAMMAL_SHARED to their folder")
    return folder
