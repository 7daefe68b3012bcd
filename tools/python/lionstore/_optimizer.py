"""Lion as a PyTorch optimizer whose state lives in a store."""

from __future__ import annotations

import os
import warnings
import weakref
from dataclasses import replace
from typing import Any, Callable, ContextManager, Iterable, Mapping

import torch

from . import _position, errors
from ._binding import Binding, load_momenta, replace_masters, write_weights
from ._gradients import Gradients
from ._hooked import IntoPlane
from ._loading import Loading
from ._model import Names, default_plane, layout_groups, require_plane_fits
from ._store import ROUNDINGS, Layout, StepArguments, Store, extras_of, restore
from ._streamed import Streamed

_WAYS: dict[str, type[Gradients]] = {"step": Gradients, "plane": IntoPlane, "stream": Streamed}
_KEY = "lionstore"


class Lion(torch.optim.Optimizer):
    """Lion (Chen et al. 2023, arXiv 2302.06675) whose state lives in a store.

    With ``c = β1·m + (1 - β1)·g`` a step is ``θ ← θ·(1 - lr·λ) - lr·sign(c)`` and
    ``m ← β2·m + (1 - β2)·g``. θ is an exact float32 master, whatever the dtype of the parameter; m is
    bfloat16. A step is a transaction: after ``kill -9`` the same constructor call goes on with the
    state before the step or after it, never a mixture.

    If there is a store it is opened, and **the model gets the store's weights**; else it is made
    from the model's weights. A bfloat16 parameter on the CPU becomes the store's own memory; any
    other is written after each step.

    :param params: ``model.named_parameters()``, or parameters, or groups of either; a group may have
        ``lr``, ``betas``, ``weight_decay``, ``maximize`` and a ``name`` of its own
    :param store: the store's folder; on tmpfs (``/dev/shm``) it costs memory alone
    :param lr: the learning rate; a third to a tenth of AdamW's
    :param betas: β1 and β2, each in [0, 1)
    :param weight_decay: decoupled weight decay λ; three to ten times AdamW's
    :param rounding: of the momentum, ``"nearest"`` or ``"stochastic"``; default: the store's, nearest
        for a new one
    :param seed: of stochastic rounding, for a new store
    :param maximize: whether to ascend
    :param clip_norm: the global norm that gradients are clipped to, exactly and deterministically
    :param gradients: ``"step"``: they stay in ``.grad`` until ``step()``, for ``clip_grad_norm_``,
        gradient scalers and whatever else looks at them. ``"plane"``: they leave for the store as
        they appear, which frees their memory; several backward passes add up. ``"stream"``: each
        tensor is stepped as its gradient appears, and none is kept: a killed step cannot be finished,
        and the norm cannot be clipped. Default: "plane" if a parameter is on another device than the
        CPU, else "step"
    :param gradient_dtype: what a new store keeps gradients in: ``torch.float32`` or
        ``torch.bfloat16``, which takes bfloat16 gradients alone and cannot add them up; default:
        float32 unless every trained parameter is bfloat16
    :param backend: what computes: ``"auto"``, ``"vector"``, ``"scalar"``, ``"opencl[:device]"``
    :param threads: how many threads step; default: every core
    :param model: where parameters without a name are looked up
    :param model_files: a folder whose files a new store takes along for its snapshots, but for
        weights: what ``save_pretrained`` of the model, its configuration or its tokenizer wrote
    :raises MismatchError: if the store holds another model
    :raises BusyError: if somebody else is writing the store
    :raises UnusableError: if the store cannot be trusted: restore a snapshot
    """

    def __init__(
        self,
        params: Iterable[Any],
        store: str | os.PathLike[str],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        rounding: str | None = None,
        seed: int = 0,
        maximize: bool = False,
        clip_norm: float | None = None,
        gradients: str | None = None,
        gradient_dtype: torch.dtype | None = None,
        backend: str = "auto",
        threads: int | None = None,
        model: torch.nn.Module | None = None,
        model_files: str | os.PathLike[str] | None = None,
    ) -> None:
        _require_one_of("rounding", rounding, [None, *ROUNDINGS])
        _require_one_of("gradients", gradients, [None, *_WAYS])
        _require_one_of("gradient_dtype", gradient_dtype, [None, torch.float32, torch.bfloat16])
        if gradients == "stream" and clip_norm is not None:
            raise errors.ArgumentError(
                "stream mode cannot clip: the norm is of all gradients, and none is kept until the"
                ' last is there; choose gradients="plane"'
            )
        self._path = _absolute(store)
        self._model_files = None if model_files is None else _absolute(model_files)
        self._rounding = rounding
        self._names = Names(model)
        self._loading = Loading(model)
        self._is_open = False
        defaults = dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, defaults)
        self.clip_norm = clip_norm
        self.skipped_steps = 0
        self._tracked: list[Any] = []
        self._way = _WAYS[gradients or self._default_way()]
        plane = None if self._way is Streamed else gradient_dtype or default_plane(self._parameters())
        self._layout = Layout(layout_groups(self.param_groups, self._names), rounding or "nearest", seed, plane)
        require_plane_fits(self._layout, self._parameters())
        self._open(backend, threads or 0)
        self._is_open = True

    # --- opening

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group, also while training: the store is then made anew, with what it has."""
        super().add_param_group(self._names.taken_from(param_group))
        if self._is_open:
            try:
                self.update_layout()
            except BaseException:
                self.param_groups.pop()
                raise

    def update_layout(self) -> None:
        """Makes the store anew for what is trained now: call it when ``requires_grad`` has changed.

        It needs room for a second store meanwhile, and is done between two steps.
        """
        self._gradients.require_nothing_taken()
        self.wait_for_snapshot()
        known = {binding.name for binding in self._bindings}
        layout = replace(self._layout, groups=layout_groups(self.param_groups, self._names))
        require_plane_fits(layout, self._parameters())
        masters = {
            number: parameter.detach().to("cpu").contiguous()
            for number, parameter in enumerate(self._parameters())
            if self._names.of(parameter) not in known
        }
        self.take_over_changes()
        self._gradients.close()
        for binding in self._bindings:
            binding.let_go()
        self.store.succeed(layout, masters)
        self._layout = layout
        self._attach()

    def _default_way(self) -> str:
        is_elsewhere = any(p.device.type != "cpu" for p in self._parameters())
        return "plane" if is_elsewhere else "step"

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _open(self, backend: str, threads: int) -> None:
        self._backend, self._threads = backend, threads
        is_new = not Store.exists(self._path)
        if is_new:
            initial = [p.detach().to("cpu").contiguous() for p in self._parameters()]
            Store.create(self._layout, self._path, dict(enumerate(initial)), self._model_files)
        self._attach()
        self._published = {} if is_new else _position.decode(self.store.position)
        self.extra: dict[str, Any] = self._published.get("extra", {})

    def _attach(self) -> None:
        """Opens the store and gives the model its weights."""
        self.store = Store(self._layout, self._path, self._backend, self._threads)
        self.arguments = StepArguments(len(self.param_groups))
        self._bindings = [
            Binding(self.store, number, index, self._names.of(parameter), parameter)
            for number, (index, parameter) in enumerate(self._indexed())
        ]
        with torch.no_grad():
            write_weights(self.store, self._bindings)
        self._loading.watch(self._bindings)
        self._gradients = self._way(weakref.proxy(self), self._bindings)

    def _indexed(self) -> list[tuple[int, torch.Tensor]]:
        return [(i, p) for i, group in enumerate(self.param_groups) for p in group["params"]]

    # --- stepping

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Steps every parameter that has a gradient, as a transaction.

        A gradient that is not finite skips the whole step (in stream mode: its tensor), with a
        warning, and is counted in ``skipped_steps``.

        :param closure: computes the loss again, and its gradients
        :returns: the closure's result
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        try:
            self._gradients.step()
        except errors.NotFiniteError as refusal:
            self.skipped_steps += 1
            warnings.warn(f"step {self.steps} skipped: {refusal}", stacklevel=2)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets gradients, those that have left ``.grad`` too."""
        self._gradients.discard()
        super().zero_grad(set_to_none)

    def accumulating(self) -> ContextManager[None]:
        """A context for every micro-batch but the last one, which stream mode needs."""
        return self._gradients.accumulating()

    def take_over_changes(self) -> None:
        """Takes over weights that something else has written, such as ``load_state_dict``."""
        self._loading.forget()
        for binding in self._bindings:
            binding.require_in_place()
        changed = [b for b in self._bindings if b.was_changed]
        if changed:
            with torch.no_grad():
                replace_masters(self.store, changed)

    def request(self) -> bytes:
        """Writes the groups' values into the arguments; gives the position to publish."""
        self.arguments.set_clip_norm(self.clip_norm)
        self.arguments.set_rounding(self._rounding)
        for index, group in enumerate(self.param_groups):
            beta1, beta2 = group["betas"]
            values = (float(group["lr"]), beta1, beta2, float(group["weight_decay"]))
            self.arguments.set_group(index, values)
        return _position.published(self.extra, self.param_groups, self._tracked)

    def is_maximized(self, binding: Binding) -> bool:
        """Whether a parameter's group maximizes."""
        return bool(self.param_groups[binding.group]["maximize"])

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
        self.store.begin_snapshot(_absolute(folder), extra or {}, keep or 0)
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
        restore(_absolute(snapshot), _absolute(store))
        return extras_of(_absolute(snapshot))

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
            self._loading.undo(self.store)
            raise errors.MismatchError(
                f"the state_dict is of step {there['steps']} of {there['store']}, {self._path} is at"
                f" step {self.steps}; a checkpoint's weights cannot take the store back. Without"
                " loading any (Trainer: without resume_from_checkpoint) the store goes on from its own"
                " last step; to go back, make it anew from a snapshot with Lion.restore. "
                + (
                    "Weights that were loaded before this have been taken back"
                    if self._loading.is_watched
                    else "bfloat16 weights that were loaded before this are in the store already (with"
                    " model=model and PyTorch 2.5 or newer they would have been taken back): then only"
                    " a snapshot will do"
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


def _absolute(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.fspath(path))


def _require_one_of(what: str, value: Any, choices: list[Any]) -> None:
    if value not in choices:
        raise errors.ArgumentError(f"{what} is {value!r}, expected one of {choices}")
