"""Settings of jobs that Ray runs (`engine=ray`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, Self

from mammal.errors import ConfigError, did_you_mean

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class RaySettings:
    """Settings of the actors that answer a job.

    Attributes:
        address: cluster to join: `"auto"` for the one that this machine belongs to, or an address of Ray. None: start
            Ray on this machine and end it with the job.
        actors: number of actors, each with its own copy of the model. None: as many as the resources of the cluster
            allow when the job starts.
        gpus: GPUs of an actor; a fraction shares a GPU. None: 1 if the model runs on a GPU, else 0.
        cpus: CPU cores that Ray reserves for an actor. Ray sets its number of threads to it, unless OMP_NUM_THREADS is
            set. None: 1; on GPUs the share of an actor in the cores of the cluster, at most 9.
    """

    address: str | None = None
    actors: int | None = None
    gpus: float | None = None
    cpus: int | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Returns checked settings.

        Args:
            given: values by name. Names that are missing, and None, stand for the default.

        Raises:
            ConfigError: there is no such setting, or a value is wrong.
        """
        known = [each.name for each in fields(cls)]
        if not isinstance(given, Mapping):
            raise ConfigError(f"must be a section, not {given!r}", where="ray", hint=f"ray.address={given}")
        for name in given:
            if name not in known:
                raise ConfigError(f"there is no setting ray.{name}", hint=did_you_mean(name, known, noun="setting"))
        for name, least in (("actors", 1), ("cpus", 1)):
            if given.get(name) is not None and not _is_whole(given[name], least):
                raise ConfigError(
                    f"must be a whole number of at least {least}, not {given[name]!r}", where=f"ray.{name}"
                )
        gpus = given.get("gpus")
        if gpus is not None and (isinstance(gpus, bool) or not isinstance(gpus, int | float) or gpus < 0):
            raise ConfigError(f"must be a number of at least 0, not {gpus!r}", where="ray.gpus", hint="1, or 0.5")
        address = given.get("address")
        if address is not None and not isinstance(address, str):
            raise ConfigError(f"must be a text, not {address!r}", where="ray.address", hint="auto, or HOST:6379")
        return cls(**given)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def ray_settings_of(engine: str, given: Mapping[str, Any] | None) -> RaySettings | None:
    """Returns the settings of Ray if it answers the job, and None if this process does.

    Args:
        engine: `"local"` or `"ray"`.
        given: settings of `RaySettings`. None: defaults.

    Raises:
        ConfigError: there is no such engine, Ray is not installed, a setting is wrong, or settings of Ray are given for
            the local engine.
    """
    if engine not in ENGINES:
        raise ConfigError(f"there is no engine {engine!r}", where="engine", hint=did_you_mean(engine, ENGINES))
    settings = RaySettings.parse(given or {})
    if engine == "local":
        if settings != RaySettings():
            raise ConfigError("settings of Ray need engine=ray", where="ray", hint="engine=ray, or leave them out")
        return None
    if find_spec("ray") is None:
        raise ConfigError("needs the package ray", where="engine=ray", hint="pip install 'mammal[ray]'")
    return settings
