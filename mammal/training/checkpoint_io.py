"""Writes checkpoints atomically, so that a full disk or a crash does not destroy the previous checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mammal.errors import TrainingError
from mammal.tasks.tables.atomic import atomic_file


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a temporary file in the same folder, syncs it, then renames it.

    Lightning writes to the temporary folder of the system and moves the file from there. That is not atomic if the
    temporary folder is on another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes a checkpoint. If it can't be written, an earlier file at `path` is kept.

        Raises:
            TrainingError: the checkpoint can't be written.
        """
        path = Path(path)
        try:
            with atomic_file(path) as partial, partial.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError for some failed writes
            raise TrainingError(
                f"the checkpoint can't be written: {_reason(error)}",
                where=str(path),
                hint="the previous checkpoint is complete; free disk space, then continue with resume=auto",
            ) from error


def _reason(error: BaseException) -> str:
    """The message of the operating system, if the error of torch hides it."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError):
            return chain.strerror or str(chain)
        chain = chain.__cause__ or chain.__context__
    return str(error).split("\n")[0]
