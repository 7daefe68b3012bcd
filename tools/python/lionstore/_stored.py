"""What an optimizer does with its store between two steps: resuming, snapshots, closing."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Mapping

from . import errors
from ._files import Files, undeclared_ties
from ._hyperparameters import require_whole
from ._state_dicts import StateDicts
from ._store import extras_of, restore


class Stored(StateDicts):
    """An optimizer whose state lives in a store; a subclass opens it and steps."""

    _files: Files

    # --- what a step has done

    @property
    def steps(self) -> int:
        """Completed steps, including those of earlier runs. A step that the loop must repeat does not count yet."""
        return self.store.steps - self.progress.is_repeating

    @property
    def extra(self) -> dict[str, Any]:
        """The caller's own values, which each step publishes: types that ``torch.load(weights_only=True)`` reads."""
        return self.progress.extra

    @extra.setter
    def extra(self, extra: dict[str, Any]) -> None:
        if not isinstance(extra, dict):
            raise errors.ArgumentError(f"extra is a {type(extra).__name__}, expected a dict")
        self.progress.extra = extra

    @property
    def gradient_norm(self) -> float:
        """The last step's global norm, after unscaling and before clipping."""
        return self.arguments.norm

    @property
    def clip_coefficient(self) -> float:
        """The factor by which the last step multiplied gradients; 1 if it did not clip."""
        return self.arguments.clip_coefficient

    @property
    def kernel(self) -> str:
        """The kernel that computes the steps, and why it was chosen."""
        return self.store.kernel

    def hash(self) -> str:
        """The content hash of the state: equal for equal state, wherever it is."""
        with self._alone():
            self._take_over_everything()
            return self.store.hash()

    def _warn_of_missing_parameters(self) -> None:
        missing = sorted(self._names.of_snapshot - {b.name for b in self._bindings})
        if missing:
            warnings.warn(
                f"the snapshot lacks {len(missing)} parameters of the model that the optimizer has not got,"
                f" such as {missing[0]}: hand over all of model.named_parameters(), frozen ones too",
                stacklevel=3,
            )
        shared = undeclared_ties(self._names.model)
        if shared:
            warnings.warn(
                f"the snapshot has {len(shared)} parameters under one of their names alone: {shared[0][1]} is"
                f" {shared[0][0]}, which the model does not declare as tied, so from_pretrained would fill it with"
                " random values; save_pretrained refuses such a model",
                stacklevel=3,
            )
        unlike = self._files.only_in_memory
        if unlike:
            warnings.warn(
                f"the snapshot has {len(unlike)} tensors, such as {unlike[0]}, as they are in memory;"
                f" save_pretrained of {type(self._names.model).__name__} writes them otherwise, and"
                " from_pretrained may not read them: model.load_state_dict does",
                stacklevel=3,
            )
        if self._adapter is not None and self._adapter.computed:
            warnings.warn(
                f"PEFT computes {self._adapter.computed[0]} when it saves this adapter, so the snapshot has what"
                " is trained instead of it: PeftModel.from_pretrained needs what the model's own"
                " save_pretrained writes",
                stacklevel=3,
            )

    # --- going on

    def resume(self, *tracked: Any) -> dict[str, Any]:
        """Resumes exactly where the store's last run ended. Call it once, after making the objects to
        track and before the loop.

        It restores each group's values, the random state of PyTorch, Python and NumPy, and the states of
        ``tracked``: learning-rate schedulers and anything else with ``state_dict`` and
        ``load_state_dict``. From now on, each step publishes these states.

        A run that was closed resumes where it was closed. If the run was killed and uses ``extra``, the
        loop repeats the iteration of the last step. The repeated ``step()`` restores everything that the
        original one left. Whatever follows it in the loop, such as a scheduler's step with or without a
        metric, therefore happens once.

        :returns: ``extra``, the caller's own dict, as the loop needs it to resume; empty for a new store
        :raises MismatchError: if the last run tracked another number of states
        :raises FormatError: if another program published the store's position
        """
        with self._alone():
            return self.progress.resume([*tracked], self.param_groups)

    def snapshot(
        self,
        folder: str | os.PathLike[str],
        extra: Mapping[str, bytes] | None = None,
        *,
        wait: bool = True,
        keep: int | None = None,
    ) -> str | None:
        """Writes ``folder/step-…``, complete or not at all: a Hugging Face folder and a checkpoint.

        A warning names parameters of the model that the snapshot lacks because the optimizer does not have
        them: ``from_pretrained`` would fill them with random values.

        :param extra: bytes to keep with the snapshot, by name; ``restore`` returns them
        :param wait: whether to return only when the snapshot is durable. Otherwise it is written while
            training continues, and ``wait_for_snapshot``, the next snapshot and ``close`` wait for it
        :param keep: how many snapshots stay in the folder: this one is read back, then older ones are
            removed
        :returns: the snapshot's path, or None without waiting. If the folder already has a snapshot of the
            same state, its path; it resumes where it was taken
        :raises ExistsError: if the folder has a different snapshot of this step
        """
        if keep is not None:
            require_whole("keep", keep, 1)
        place = absolute(folder, "folder")
        with self._alone():
            self.wait_for_snapshot()
            self._gradients.require_between_steps()
            self._take_over_everything()
            self._warn_of_missing_parameters()
            self.store.begin_snapshot(place, extra or {}, keep or 0)
        return self.wait_for_snapshot() if wait else None

    @property
    def is_snapshot_done(self) -> bool:
        """Whether no snapshot is being written."""
        return self.store.is_snapshot_done

    def wait_for_snapshot(self) -> str | None:
        """Waits for the snapshot that is being written, and raises its error if it failed.

        :returns: its path, or None if no snapshot was being written
        """
        path, *told = self.store.await_snapshot() or [""]
        for sentence in told:
            warnings.warn(sentence, stacklevel=2)
        return path or None

    @staticmethod
    def restore(
        snapshot: str | os.PathLike[str], store: str | os.PathLike[str]
    ) -> dict[str, bytes]:
        """Verifies a snapshot and makes a store from it, which an optimizer then opens.

        :returns: the ``extra`` that was passed when the snapshot was taken
        """
        taken = absolute(snapshot, "snapshot")
        restore(taken, absolute(store, "store"))
        return extras_of(taken)

    def close(self) -> None:
        """Makes everything durable, including a snapshot in progress, and closes the store. The model keeps
        copies of its weights.

        The next run resumes here, with ``extra``, schedulers and random state as they are now. Without this
        call, the store closes at the end of the process, and the next run resumes from the last step.
        """
        if not self.store.is_open:
            return
        with self._alone():
            try:
                self.wait_for_snapshot()
                self._gradients.give_up()
                self._take_over_everything()
                # While an exception passes, nobody knows where the run is.
                if sys.exc_info()[0] is None and self.progress.knows_where_it_is():
                    self.store.call("publish", self.progress.at_the_end(self.param_groups))
            finally:
                self._gradients.close()
                self.weights.release()
                self.store.close()


def absolute(path: str | os.PathLike[str], name: str) -> str:
    """The absolute path, which stays the same when the process changes its working folder."""
    if not isinstance(path, (str, bytes, os.PathLike)) or not os.fspath(path):
        raise errors.ArgumentError(f"{name} is {path!r}, expected the path of a folder")
    return os.path.abspath(os.fsdecode(path))
