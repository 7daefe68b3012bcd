"""Lion for Hugging Face's Trainer, a snapshot in each of its checkpoints, and the store made anew from one.

Needs transformers; the package itself does not.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback  # type: ignore

from . import errors
from ._optimizer import Lion

_FOLDER = "lionstore"


class TrainersLion:
    """Makes Lion of Trainer's model, in Trainer's groups: norms and biases do not decay.

    ``Trainer(…, optimizer_cls_and_kwargs=(TrainersLion, {"store": …, "lr": …, "weight_decay": …}))``.
    Frozen parameters belong to the store too, so that snapshots are whole.
    """

    def __call__(self, model: torch.nn.Module, *, weight_decay: float = 0.0, **options: Any) -> Lion:
        """Is called by Trainer with the model that it trains and the keyword arguments."""
        names_of: Any = Trainer.get_decay_parameter_names  # uses nothing of its Trainer
        decaying = {*names_of(None, model)}
        named = [*model.named_parameters()]
        groups = [
            {"params": [(n, p) for n, p in named if n in decaying], "weight_decay": weight_decay},
            {"params": [(n, p) for n, p in named if n not in decaying], "weight_decay": 0.0},
        ]
        return Lion([group for group in groups if group["params"]], model=model, **options)


class SnapshotCallback(TrainerCallback):  # type: ignore[misc]
    """Takes a snapshot of the optimizer's store into each checkpoint that Trainer writes.

    ``checkpoint-500`` then holds the exact state of step 500 in ``checkpoint-500/lionstore``, also where
    ``optimizer.pt`` only refers to the store because the state is large.
    """

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Is called by Trainer when a checkpoint is whole but for this.

        What an earlier run left in a checkpoint of the same number goes, as its other files do.
        """
        if not state.is_world_process_zero:
            return
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if not checkpoint.is_dir():
            warnings.warn(f"SnapshotCallback: there is no {checkpoint}, so no snapshot was taken", stacklevel=2)
            return
        optimizer, folder = _lion(more.get("optimizer")), checkpoint / _FOLDER
        try:
            taken = optimizer.snapshot(folder)
        except errors.ExistsError:
            shutil.rmtree(folder)
            taken = optimizer.snapshot(folder)
        for other in folder.glob("step-*"):
            if str(other) != taken:
                shutil.rmtree(other)


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
