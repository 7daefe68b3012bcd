"""Lion as a PyTorch optimizer whose state lives in a store."""

from __future__ import annotations

import os
import warnings
import weakref
from dataclasses import replace
from typing import Any, Callable, ContextManager, Iterable

import torch

from . import _position, errors
from ._binding import Binding, replace_masters, write_weights
from ._gradients import Gradients
from ._hooked import IntoPlane
from ._loading import Loading
from ._model import Names, default_plane, layout_groups, require_plane_fits
from ._store import ROUNDINGS, Layout, StepArguments, Store
from ._stored import Stored, absolute
from ._streamed import Streamed

_WAYS: dict[str, type[Gradients]] = {"step": Gradients, "plane": IntoPlane, "stream": Streamed}


class Lion(Stored):
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
        self._path = absolute(store)
        self._model_files = None if model_files is None else absolute(model_files)
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


def _require_one_of(what: str, value: Any, choices: list[Any]) -> None:
    if value not in choices:
        raise errors.ArgumentError(f"{what} is {value!r}, expected one of {choices}")
