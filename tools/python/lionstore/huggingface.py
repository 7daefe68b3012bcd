"""A snapshot in each checkpoint of Hugging Face's Trainer, and the store made anew from one.

Needs transformers; the package itself does not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import TrainerCallback  # type: ignore

from . import errors
from ._optimizer import Lion

_FOLDER = "lionstore"


class SnapshotCallback(TrainerCallback):  # type: ignore[misc]
    """Takes a snapshot of the optimizer's store into each checkpoint that Trainer writes.

    ``checkpoint-500`` then holds the exact state of step 500 in ``checkpoint-500/lionstore``, also where
    ``optimizer.pt`` only refers to the store because the state is large.
    """

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Is called by Trainer when a checkpoint is whole but for this."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            _lion(more.get("optimizer")).snapshot(folder / _FOLDER)


def restore_checkpoint(
    checkpoint: str | os.PathLike[str], store: str | os.PathLike[str]
) -> None:
    """Makes a store anew from the snapshot in a checkpoint, before the optimizer is made.

    A store that is in the place is moved to ``STORE.replaced`` first; remove that when you need it no more.

    :param checkpoint: Trainer's ``checkpoint-N``, or a folder of such, of which the newest with a snapshot
        is taken
    :raises MissingError: if there is no snapshot
    :raises ExistsError: if there is a ``STORE.replaced`` already
    """
    snapshot = _snapshot_in(Path(checkpoint))
    place, aside = Path(store), Path(f"{os.fspath(store)}.replaced")
    beside = Path(f"{os.fspath(store)}.restored")
    if place.exists() and aside.exists():
        raise errors.ExistsError(f"{aside} is there already, from an earlier restore: remove or move it first")
    Lion.restore(snapshot, beside)
    if place.exists():
        place.rename(aside)
    beside.rename(place)


def _snapshot_in(checkpoint: Path) -> Path:
    inside = sorted((checkpoint / _FOLDER).glob("step-*"))
    if not inside:
        numbered = [
            (int(path.parents[1].name.rpartition("-")[2]), path)
            for path in checkpoint.glob(f"checkpoint-*/{_FOLDER}/step-*")
        ]
        inside = [path for _, path in sorted(numbered)]
    if not inside:
        raise errors.MissingError(
            f"{checkpoint} has no snapshot: Trainer needs callbacks=[SnapshotCallback()] when it writes"
            " checkpoints, and a kill between a checkpoint and its snapshot leaves one without; take the one"
            " before it"
        )
    return inside[-1]


def _lion(optimizer: Any) -> Lion:
    """The optimizer that wrappers, such as Accelerate's, have inside."""
    while not isinstance(optimizer, Lion):
        inner = getattr(optimizer, "optimizer", None)
        if inner is None:
            raise errors.ArgumentError(
                f"SnapshotCallback: Trainer's optimizer is a {type(optimizer).__name__}, expected lionstore.Lion"
            )
        optimizer = inner
    return optimizer
