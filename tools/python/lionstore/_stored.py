"""What an optimizer does with its store between two steps: snapshots, going on, closing."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, Mapping

from . import errors
from ._state_dicts import StateDicts
from ._store import extras_of, restore


class Stored(StateDicts):
    """An optimizer whose state lives in a store; a subclass opens it and steps."""

    # --- what a step has done

    @property
    def steps(self) -> int:
        """Completed steps, those of runs before this one included; not yet one that is repeated."""
        return self.store.steps - self.progress.is_repeating

    @property
    def extra(self) -> dict[str, Any]:
        """What each step publishes of the caller's own: whatever ``torch.load(weights_only=True)`` knows."""
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
        """What the last step multiplied gradients with, 1 if it did not clip."""
        return self.arguments.clip_coefficient

    @property
    def kernel(self) -> str:
        """What computes the steps, and why."""
        return self.store.kernel

    def hash(self) -> str:
        """The content hash of the state: equal for equal state, wherever it is."""
        with self._alone():
            self._take_over_everything()
            return self.store.hash()
    def _warn_of_missing_parameters(self) -> None:
        missing = sorted({*self._names.of_model.values()} - {b.name for b in self._bindings})
        if missing:
            warnings.warn(
                f"the snapshot lacks {len(missing)} parameters of the model that the optimizer has not got,"
                f" such as {missing[0]}: hand over all of model.named_parameters(), frozen ones too",
                stacklevel=4,
            )
    # --- going on

    def resume(self, *tracked: Any) -> dict[str, Any]:
        """Goes on exactly where the store's last run left off. To be called once, after what is
        tracked is made and before the loop.

        Restores each group's values, PyTorch's, Python's and NumPy's random state, and what is
        ``tracked``: learning-rate schedulers and anything else with ``state_dict`` and
        ``load_state_dict``, whose state each step publishes from now on.

        If the run before was closed, it goes on as it was closed. If it was killed and uses ``extra``,
        the loop repeats the iteration of the last step: what that ``step()`` left is restored by the
        repeated one, so that whatever follows a step in the loop, such as a scheduler's step with or
        without a metric, is done once.

        :returns: ``extra`` as the loop needs it to go on, a dict of the caller's own; empty for a new
            store
        :raises MismatchError: if another number of states was tracked
        :raises FormatError: if the store's position was published by something else
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

        A warning says which parameters of the model are missing in it, because the optimizer has not got
        them: ``from_pretrained`` would fill them with random values.

        :param extra: kept with it, by name; ``Lion.restore`` gives it back
        :param wait: whether to return when it is durable; else it is written while training goes on,
            and ``wait_for_snapshot``, the next snapshot and ``close`` wait for it
        :param keep: how many snapshots stay in the folder: this one is read back, then older ones go
        :returns: its path if it was waited for; that of an equal one that is there already
        :raises ExistsError: if there is another one of this step
        """
        if keep is not None and keep < 1:
            raise errors.ArgumentError(f"keep is {keep}, expected at least 1")
        with self._alone():
            self.wait_for_snapshot()
            self._gradients.require_between_steps()
            self._take_over_everything()
            self._warn_of_missing_parameters()
            self.store.begin_snapshot(absolute(folder), extra or {}, keep or 0)
        return self.wait_for_snapshot() if wait else None

    @property
    def is_snapshot_done(self) -> bool:
        """Whether no snapshot is being written."""
        return self.store.is_snapshot_done

    def wait_for_snapshot(self) -> str | None:
        """Waits for the snapshot that is being written; raises what has made it fail.

        :returns: its path, None if there is none
        """
        path, *told = self.store.await_snapshot() or [""]
        for sentence in told:
            warnings.warn(sentence, stacklevel=2)
        return path or None

    @staticmethod
    def restore(
        snapshot: str | os.PathLike[str], store: str | os.PathLike[str]
    ) -> dict[str, bytes]:
        """Makes a store from a snapshot, verified first; then open it as ever.

        :returns: the ``extra`` that the snapshot was taken with
        """
        restore(absolute(snapshot), absolute(store))
        return extras_of(absolute(snapshot))

    def close(self) -> None:
        """Makes everything durable, a snapshot too, and closes the store; the model keeps copies of its
        weights.

        The next run goes on from here, with ``extra``, schedulers and random state as they are now. At
        the end of the process the store is closed by itself, and the next run goes on from the last step.
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


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that stays the same when the process changes its folder."""
    return os.path.abspath(os.fspath(path))
