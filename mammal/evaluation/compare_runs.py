"""Checks that runs differ only in their seed, by comparing the configurations that training saved in their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError, DataError

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIG = Path("config") / "config.yaml"
SEED = "seed"
BESIDE_THE_POINT = (
    *(SEED, "name", "output", "resume", "test"),
    *("launcher", "logger", "paths", "sweep", "data.num_workers"),
)
"""Keys, or whole sections, that may differ between seeds of one experiment: none of them affects training."""

SHOWN = 5
"""Number of differences that an error lists."""


def check_seeds_alone(folders: Sequence[Path]) -> None:
    """Refuses runs that differ in more than their seed, and runs with the same seed.

    Runs without a saved configuration (their evaluation was copied, or they were not trained by `mammal train`) can't
    be compared; a note on the console lists them.

    Args:
        folders: folders of the runs.

    Raises:
        ConfigError: two runs differ (the message lists the differences), or two runs have the same seed.
        DataError: a saved configuration can't be read.
    """
    kept = {folder: read_config(folder / CONFIG) for folder in folders if (folder / CONFIG).is_file()}
    if unknown := [str(folder) for folder in folders if folder not in kept]:
        console.note(f"no configuration was saved, so other settings than the seed may differ: {', '.join(unknown)}")
    seen: dict[Any, Path] = {}
    for folder, config in kept.items():
        first, expected = next(iter(kept.items()))
        if differing := _differences(expected, config):
            more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            raise ConfigError(
                f"differs from {first} in more than its seed: {'; '.join(differing[:SHOWN])}{more}",
                where=str(folder),
                hint="a mean over seeds needs equal settings; same_config=false combines the runs anyway",
            )
        first = seen.setdefault(config.get(SEED), folder)
        if first != folder:
            what = f"has the seed of {first}, {config.get(SEED)}, and would count twice"
            raise ConfigError(what, where=str(folder), hint="leave one out, or same_config=false")


def read_config(file: Path) -> dict[str, Any]:
    """Reads the configuration of a run as a flat mapping: `optim.lr` -> value.

    Args:
        file: the YAML file that training saved.

    Raises:
        DataError: it can't be read.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        found: DictConfig = OmegaConf.load(file)  # type: ignore[assignment]
        plain = OmegaConf.to_container(found)
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        raise DataError(f"no configuration of a run: {error}", where=str(file)) from error
    if not isinstance(plain, dict):
        raise DataError("no configuration of a run: it holds no keys", where=str(file))
    return _opened({str(key): value for key, value in plain.items()})


def _opened(section: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            values |= _opened(value, f"{path}{key}.")
        else:
            values[f"{path}{key}"] = value
    return values


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Each key that differs and matters, with both values."""
    keys = sorted(expected.keys() | found.keys())
    return [
        f"{key} is {_shown(found, key)}, not {_shown(expected, key)}"
        for key in keys
        if not _beside_the_point(key) and (found.get(key), key in found) != (expected.get(key), key in expected)
    ]


def _beside_the_point(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in BESIDE_THE_POINT)


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"
