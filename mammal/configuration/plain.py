"""Converts sections of a Hydra configuration to plain Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def plain(section: DictConfig) -> dict[str, Any]:
    """Returns a section as nested dicts and lists, with interpolations resolved."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(section, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
