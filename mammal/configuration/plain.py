"""Sections of a Hydra configuration as plain Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def plain(section: DictConfig) -> dict[str, Any]:
    """The section as nested dicts and lists, interpolations resolved."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(section, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
