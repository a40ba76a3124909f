"""Whether runs are one experiment with several seeds, by the configurations that training leaves beside them."""

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
"""Keys, or whole sections, that may differ between seeds of one experiment: none of them changes what is learned."""

SHOWN = 5
"""Differences that an error names."""


def check_seeds_alone(folders: Sequence[Path]) -> None:
    """Refuse runs that differ in more than their seed, or not even in that.

    Runs that kept no configuration (their evaluation was copied, or they were not trained by `mammal train`) can't be
    compared, and a note says so.

    Raises:
        ConfigError: two runs differ, each difference named; or two have one seed and would count twice.
        DataError: a kept configuration can't be read.
    """
    kept = {folder: read_config(folder / CONFIG) for folder in folders if (folder / CONFIG).is_file()}
    if unknown := [str(folder) for folder in folders if folder not in kept]:
        console.note(f"no configuration was kept, so nothing tells that seeds alone differ: {', '.join(unknown)}")
    seen: dict[Any, Path] = {}
    for folder, config in kept.items():
        first, expected = next(iter(kept.items()))
        if differing := _differences(expected, config):
            more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            raise ConfigError(
                f"differs from {first} in more than its seed: {'; '.join(differing[:SHOWN])}{more}",
                where=str(folder),
                hint="a mean over seeds is of one experiment; same_config=false puts these together all the same",
            )
        twin = seen.setdefault(config.get(SEED), folder)
        if twin != folder:
            what = f"has the seed of {twin}, {config.get(SEED)}, and would count twice"
            raise ConfigError(what, where=str(folder), hint="leave one out, or same_config=false")


def read_config(file: Path) -> dict[str, Any]:
    """A configuration as training kept it, sections opened: `optim.lr` -> value.

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
    """Each key that tells, with both values."""
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
