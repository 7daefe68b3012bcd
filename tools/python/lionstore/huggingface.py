"""Lionstore in Hugging Face's Trainer: factories, snapshots in checkpoints, and a store restored from a checkpoint.

This module needs transformers; the rest of the package does not.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any, Callable

import torch
from transformers import Trainer, TrainerCallback  # type: ignore

from . import errors
from ._lion import Lion
from ._optimizer import StoreOptimizer

_FOLDER = "lionstore"


class TrainersOptimizer:
    """Makes an optimizer for Trainer's model, with Trainer's groups: norms and biases do not decay.

    ``Trainer(…, optimizer_cls_and_kwargs=(TrainersOptimizer, {"optimizer": AdamW, "store": …, "lr": …}))``.
    The store also contains frozen parameters, so that snapshots are complete.
    """

    def __call__(
        self,
        model: torch.nn.Module,
        *,
        optimizer: Callable[..., StoreOptimizer] = Lion,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> Any:
        """Makes the optimizer; Trainer calls this with its model and the keyword arguments."""
        names_of: Any = Trainer.get_decay_parameter_names  # uses nothing of its Trainer
        decaying = {*names_of(None, model)}
        named = [*model.named_parameters()]
        groups = [
            {"params": [(n, p) for n, p in named if n in decaying], "weight_decay": weight_decay},
            {"params": [(n, p) for n, p in named if n not in decaying], "weight_decay": 0.0},
        ]
        return optimizer([group for group in groups if group["params"]], model=model, **options)


class TrainersLion(TrainersOptimizer):
    """The same for Lion: ``optimizer_cls_and_kwargs=(TrainersLion, {"store": …, "lr": …, "weight_decay": …})``."""


class SnapshotCallback(TrainerCallback):  # type: ignore[misc]
    """Puts a snapshot of the optimizer's store into each checkpoint that Trainer writes.

    ``checkpoint-500/lionstore`` then holds the exact state of step 500, even if the state is so large that
    ``optimizer.pt`` only refers to the store.
    """

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Adds the snapshot; Trainer calls this when the rest of the checkpoint is complete.

        A snapshot that an earlier run left in a checkpoint of the same number is removed, like that
        checkpoint's other files.
        """
        if not state.is_world_process_zero:
            return
        checkpoint = Path(args.output_dir).absolute() / f"checkpoint-{state.global_step}"
        if not checkpoint.is_dir():
            warnings.warn(f"SnapshotCallback: there is no {checkpoint}, so no snapshot was taken", stacklevel=2)
            return
        optimizer, folder = _ours(more.get("optimizer")), checkpoint / _FOLDER
        try:
            taken = str(optimizer.snapshot(folder))
        except errors.ExistsError:
            shutil.rmtree(folder)
            taken = str(optimizer.snapshot(folder))
        for other in folder.glob("step-*"):
            if not other.samefile(taken):
                shutil.rmtree(other)


def restore_checkpoint(
    checkpoint: str | os.PathLike[str], store: str | os.PathLike[str]
) -> None:
    """Restores a store from the snapshot in a checkpoint. Call it before you make the optimizer.

    An existing store moves to ``STORE.replaced``; remove that folder when you no longer need it.

    :param checkpoint: Trainer's ``checkpoint-N``, or a folder of checkpoints, of which the newest with a
        snapshot is used
    :raises MissingError: if there is no snapshot
    :raises ExistsError: if ``STORE.replaced`` already exists
    """
    snapshot = _snapshot_in(Path(checkpoint))
    place, aside = Path(store), Path(f"{os.fspath(store)}.replaced")
    beside = Path(f"{os.fspath(store)}.restored")
    if place.exists() and aside.exists():
        raise errors.ExistsError(f"{aside} is there already, from an earlier restore: remove or move it first")
    StoreOptimizer.restore(snapshot, beside)
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


def _ours(optimizer: Any) -> StoreOptimizer:
    """The optimizer inside wrappers such as Accelerate's."""
    while not isinstance(optimizer, StoreOptimizer):
        inner = getattr(optimizer, "optimizer", None)
        if inner is None:
            raise errors.ArgumentError(
                f"SnapshotCallback: Trainer's optimizer is a {type(optimizer).__name__}, expected lionstore.Lion"
                " or another of lionstore's"
            )
        optimizer = inner
    return optimizer
