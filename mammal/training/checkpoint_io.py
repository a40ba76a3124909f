"""Checkpoints on the disk: written whole or not at all, so that the one before survives a full disk or a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mammal.errors import TrainingError
from mammal.tasks.tables.atomic import atomic_file


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the file's place, syncs, then renames.

    Lightning writes to the system's folder for temporary files and moves from there, which is no single step when that
    is another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Raises TrainingError where the checkpoint can't be written; what stood at `path` still does."""
        path = Path(path)
        try:
            with atomic_file(path) as partial, partial.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
        except (OSError, RuntimeError) as error:  # torch tells some failed writes as RuntimeError
            raise TrainingError(
                f"the checkpoint can't be written: {_reason(error)}",
                where=str(path),
                hint="the one before it is whole; make room, then go on with resume=auto",
            ) from error


def _reason(error: BaseException) -> str:
    """What the system said, if torch's own error hides it."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError):
            return chain.strerror or str(chain)
        chain = chain.__cause__ or chain.__context__
    return str(error).split("\n")[0]
