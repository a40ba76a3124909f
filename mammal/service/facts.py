"""What `GET /info` says about the bundle and the service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mammal.explanation.question import available_methods
from mammal.service.answered import plain
from mammal.service.service import Service
from mammal.version import __version__


def bundle_facts(service: Service) -> dict[str, Any]:
    """Returns the facts as plain values. Paths of the machine are not among them.

    Args:
        service: a service that is ready.
    """
    model = service.model
    return {
        "version": __version__,
        "bundle": None if model.folder is None else model.folder.name,
        "parameters": sum(weight.numel() for weight in model.model.parameters()),
        "device": model.device.type,
        "dtype": model.model.number_format,
        "alphabets": list(model.tokenizer.alphabets),
        "tasks": list(service.tasks),
        "explain": available_methods(),
        "metrics": _plain(model.metrics),
        "limits": asdict(service.limits),
    }


def _plain(node: Any) -> Any:
    return {str(key): _plain(value) for key, value in node.items()} if isinstance(node, dict) else plain(node)
