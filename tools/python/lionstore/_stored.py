"""What an optimizer does with its store between two steps: snapshots, state dicts, going on."""

from __future__ import annotations

import os
import warnings
from typing import Any, Mapping, Sequence

import torch

from . import _position, errors
from ._binding import Binding, load_momenta
from ._gradients import Gradients
from ._loading import Loading
from ._store import StepArguments, Store, extras_of, restore

_KEY = "lionstore"


class Stored(torch.optim.Optimizer):
    """An optimizer whose state lives in a store; a subclass opens it and steps."""

    store: Store
    arguments: StepArguments
    extra: dict[str, Any]
    """What each step publishes of the caller's own."""

    _path: str
    _bindings: Sequence[Binding]
    _gradients: Gradients
    _loading: Loading
    _published: Mapping[str, Any]
    _tracked: list[Any]

    # --- what a step has done

    @property
    def steps(self) -> int:
        """Completed steps, those of runs before this one included."""
        return self.store.steps

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
        return self.store.hash()

    # --- going on

    def resume(self, *tracked: Any) -> dict[str, Any]:
        """Goes on exactly where the store's last step left off.

        Restores each group's values, PyTorch's and Python's random state, and what is ``tracked``:
        learning-rate schedulers and anything else with ``state_dict`` and ``load_state_dict``, whose
        state each step publishes from now on. A scheduler is stepped once besides, as it would have
        been after the step. To be called once, after the schedulers are made.

        :returns: ``extra`` as it was at that step, a dict of the caller's own; empty for a new store
        """
        self._tracked = list(tracked)
        if self._published:
            _position.restore(self._published, self.param_groups, tracked, self._path)
        return self.extra

    def snapshot(
        self,
        folder: str | os.PathLike[str],
        extra: Mapping[str, bytes] | None = None,
        *,
        wait: bool = True,
        keep: int | None = None,
    ) -> str | None:
        """Writes ``folder/step-…``, complete or not at all: a Hugging Face folder and a checkpoint.

        :param extra: kept with it, by name; ``Lion.restore`` gives it back
        :param wait: whether to return when it is durable; else it is written while training goes on,
            and ``wait_for_snapshot``, the next snapshot and ``close`` wait for it. Weights that you
            change yourself meanwhile would be mixed into it: only steps may change them
        :param keep: how many snapshots stay in the folder: this one is read back, then older ones go
        :returns: its path if it was waited for
        """
        if keep is not None and keep < 1:
            raise errors.ArgumentError(f"keep is {keep}, expected at least 1")
        self.wait_for_snapshot()
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

    def state_dict(self) -> dict[str, Any]:
        """The groups' values, and which store at which step has the state."""
        state: dict[str, Any] = super().state_dict()
        state[_KEY] = {"store": self._path, "steps": self.steps}
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the groups' values of a ``state_dict``, and the momentum of lion-pytorch's.

        :raises MismatchError: if it is of another step than the store, or of another optimizer
        """
        there = state_dict.get(_KEY)
        if there is not None and there["steps"] != self.steps:
            self._loading.refuse(self.store)
            raise errors.MismatchError(
                f"the state_dict is of step {there['steps']} of {there['store']}, {self._path} is at"
                f" step {self.steps}; a checkpoint's weights cannot take the store back. Without"
                " loading any (Trainer: without resume_from_checkpoint) the store goes on from its own"
                " last step; to go back, make it anew from a snapshot with Lion.restore. "
                + (
                    "Weights that were loaded before this have not reached the store, and the model"
                    " has its own again"
                    if self._loading.is_watched
                    else "bfloat16 weights that were loaded before this are in the store already (with"
                    " model=model and PyTorch 2.5 or newer they would have waited for the next step):"
                    " then only a snapshot will do"
                )
            )
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})
        if state_dict["state"]:
            load_momenta(self.store, self._bindings, state_dict["state"])

    def momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        """A copy of a trained parameter's momentum (``exp_avg``), in float32."""
        binding = next(b for b in self._bindings if b.parameter is parameter and b.is_trained)
        momentum = torch.empty(parameter.shape, dtype=torch.float32)
        if binding.has_elements:
            self.store.call("copyMomentum", binding.number, momentum.data_ptr())
        return momentum

    def close(self) -> None:
        """Makes everything durable, a snapshot too, and closes the store; the model keeps copies of its weights.

        At the end of the process it is closed by itself.
        """
        try:
            self.wait_for_snapshot()
        finally:
            self._gradients.close()
            self._loading.watch(())
            for binding in self._bindings:
                binding.release()
            self.store.close()


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that stays the same when the process changes its folder."""
    return os.path.abspath(os.fspath(path))
