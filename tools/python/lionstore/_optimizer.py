"""Lion as a PyTorch optimizer whose state lives in a store."""

from __future__ import annotations

import faulthandler
import os
import threading
import warnings
import weakref
from dataclasses import replace
from typing import Any, Callable, ContextManager, Iterable, Mapping

import torch

from . import errors
from ._binding import Binding, Weights
from ._buffers import Buffers
from ._gradients import Gradients
from ._hooked import IntoPlane
from ._memory import on_host
from ._names import Names, default_plane, layout_groups, require_plane_fits
from ._progress import Progress
from ._state import State
from ._store import ROUNDINGS, Layout, NewState, StepArguments, Store
from ._state_dicts import StateDicts
from ._stored import Stored, absolute
from ._streamed import Streamed

_WAYS: dict[str, type[Gradients]] = {"step": Gradients, "plane": IntoPlane, "stream": Streamed}
_POSITION_BYTES = 256 << 10
_MOST_POSITION_BYTES = 1 << 28
_FULL_UP_TO_BYTES = 1 << 30
_OF_OTHERS = {"eps", "amsgrad", "momentum", "dampening", "nesterov", "alpha", "rho", "rho1", "eps1"}
"""What groups of other optimizers have and Lion's do not."""

_alive: weakref.WeakSet[Lion] = weakref.WeakSet()


class Lion(Stored):
    """Lion (Chen et al. 2023, arXiv 2302.06675) whose state lives in a store.

    With ``c = β1·m + (1 - β1)·g`` a step is ``θ ← θ·(1 - lr·λ) - lr·sign(c)`` and
    ``m ← β2·m + (1 - β2)·g``. θ is an exact float32 master, whatever the dtype of the parameter; m is
    bfloat16. A step is a transaction: after ``kill -9`` the same constructor call goes on with the
    state before the step or after it, never a mixture.

    If there is a store it is opened, and **the model gets the store's weights**; else it is made
    from the model's weights. A bfloat16 parameter on the CPU is from then on the store's own memory;
    any other is written after each step. Whatever changes a parameter between two steps, the next step
    starts from the values that the model has.

    :param params: ``model.named_parameters()``, or groups of named parameters; a group may have ``lr``,
        ``betas``, ``weight_decay``, ``maximize`` and a ``name`` of its own. Parameters without names
        need ``model``. A model stands for its ``named_parameters()`` and for ``model``: that is what
        Trainer makes of ``model`` in ``optimizer_cls_and_kwargs``
    :param store: the store's folder; on tmpfs (``/dev/shm``) it costs memory alone
    :param lr: the learning rate; a third to a tenth of AdamW's
    :param betas: β1 and β2, each in [0, 1)
    :param weight_decay: decoupled weight decay λ; three to ten times AdamW's
    :param rounding: of the momentum, ``"nearest"`` or ``"stochastic"``; default: the store's, nearest
        for a new one
    :param seed: of stochastic rounding, for a new store
    :param maximize: whether to ascend
    :param clip_norm: the global norm that gradients are clipped to, exactly and deterministically
    :param gradients: ``"step"``: they stay in ``.grad`` until ``step()``. ``"plane"``: they leave for
        the store as they appear, which frees their memory; several backward passes add up, and what is
        asked of ``.grad`` is answered from the store. ``"stream"``: each tensor is stepped as its
        gradient appears, and none is kept: a killed step cannot be finished, and the norm cannot be
        clipped. Default: "plane" if a parameter is on another device than the CPU, else "step"
    :param gradient_dtype: what a new store keeps gradients in: ``torch.float32`` or
        ``torch.bfloat16``, which takes bfloat16 gradients alone; default: float32 unless every trained
        parameter is bfloat16
    :param backend: what computes: ``"auto"``, ``"vector"``, ``"scalar"``, ``"opencl[:device]"``
    :param threads: how many threads step; default: every core
    :param model: the model: its names, its buffers (published with each step, part of snapshots), and
        where parameters that a framework has replaced are found again
    :param model_files: a folder whose files a new store takes along for its snapshots, but for
        weights: what ``save_pretrained`` of the model, its configuration or its tokenizer wrote
    :param foreach: is accepted, as other optimizers do, and changes nothing
    :param fused: likewise
    :param capturable: must be false: a step runs on the host
    :param differentiable: must be false
    :param full_state_dict: whether ``state_dict()`` carries the whole state into a file; default: if it
        takes a gibibyte or less. Else a file only names the store and the step
    :param max_consecutive_skips: after how many steps skipped in a row, for gradients that are not
        finite, the next one is an error; default: never
    :raises ArgumentError: if a value is out of its bounds, a parameter has no name, or holds what a store
        cannot
    :raises MismatchError: if the store holds another model
    :raises BusyError: if somebody else is writing the store
    :raises StateError: if another optimizer of Lionstore has one of the parameters
    :raises UnusableError: if the store cannot be trusted: restore a snapshot
    """

    def __init__(
        self,
        params: Iterable[Any] | torch.nn.Module,
        store: str | os.PathLike[str],
        lr: float | torch.Tensor = 1e-4,
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
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        full_state_dict: bool | None = None,
        max_consecutive_skips: int | None = None,
    ) -> None:
        _require_one_of("rounding", rounding, [None, *ROUNDINGS])
        _require_one_of("gradients", gradients, [None, *_WAYS])
        _require_one_of("gradient_dtype", gradient_dtype, [None, torch.float32, torch.bfloat16])
        _require_one_of("capturable", capturable, [False])
        _require_one_of("differentiable", differentiable, [False])
        if max_consecutive_skips is not None and max_consecutive_skips < 1:
            raise errors.ArgumentError(
                f"max_consecutive_skips is {max_consecutive_skips}, expected at least 1"
            )
        if gradients == "stream" and clip_norm is not None:
            raise errors.ArgumentError(
                "stream mode cannot clip: the norm is of all gradients, and none is kept until the"
                ' last is there; choose gradients="plane"'
            )
        _require_hyperparameters({"lr": lr, "betas": betas, "weight_decay": weight_decay}, clip_norm)
        if not os.fspath(store):
            raise errors.ArgumentError("store is empty, expected the path of a folder")
        self._path = absolute(store)
        self._model_files = None if model_files is None else absolute(model_files)
        self._rounding = rounding
        if isinstance(params, torch.nn.Module):
            model = model or params
            params = params.named_parameters()
        self._names = Names(model)
        self._buffers = Buffers(model)
        self._is_open = False
        self._overwritten = {}
        defaults = dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)
        flags = dict(foreach=foreach, fused=fused)
        defaults.update({name: flag for name, flag in flags.items() if flag is not None})
        super().__init__(params, defaults)
        self.state = State(self._trained, self._look_at)
        self.register_state_dict_post_hook(StateDicts._complete_state_dict)
        self.clip_norm = clip_norm
        self.skipped_steps = 0
        self.step_was_skipped = False
        self._skips_in_a_row = 0
        self._max_skips_in_a_row = max_consecutive_skips
        self._full_state_dict = full_state_dict
        self._is_full = False
        self._lock = threading.RLock()
        self._way = _WAYS[gradients or self._default_way()]
        plane = None if self._way is Streamed else gradient_dtype or default_plane(self._parameters())
        groups = layout_groups(self.param_groups, self._names)
        capacity = _position_capacity(len(self._buffers.encoded()))
        self._layout = Layout(groups, rounding or "nearest", seed, plane, capacity)
        require_plane_fits(self._layout, self._parameters())
        self._require_nobody_elses()
        self._open(backend, threads or 0)
        self._is_open = True
        _alive.add(self)

    # --- opening

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group, also while training: the store is then made anew, with what it has.

        :raises ArgumentError: if a value is out of its bounds, or a parameter has no name
        """
        count = len(self.param_groups)
        try:
            taken = self._names.taken_from(param_group)
            _require_hyperparameters({**self.defaults, **taken}, None)
            super().add_param_group(taken)
            if self._is_open:
                self.update_layout()
        except BaseException:
            del self.param_groups[count:]
            self._names.forget_newest()
            raise

    def update_layout(self) -> None:
        """Makes the store anew for what is trained now: call it when ``requires_grad`` has changed.

        It needs room for a second store meanwhile, and is done between two steps.
        """
        with self._alone():
            self._gradients.require_nothing_taken()
            known = {binding.name for binding in self._bindings}
            layout = replace(self._layout, groups=layout_groups(self.param_groups, self._names))
            require_plane_fits(layout, self._parameters())
            masters = {
                number: on_host(parameter, f"parameter {self._names.of(parameter)}")
                for number, parameter in enumerate(self._parameters())
                if self._names.of(parameter) not in known
            }
            self._succeed(layout, NewState(masters))

    def _succeed(self, layout: Layout, state: NewState) -> None:
        """Puts a store of another layout or state in the place of this one."""
        self.wait_for_snapshot()
        self.weights.take_over(frozen_too=True)
        self._gradients.close()
        self.store.succeed(layout, state)
        self._layout = layout
        self._attach()
        self.weights.give_all()

    def _default_way(self) -> str:
        is_elsewhere = any(p.device.type != "cpu" for p in self._parameters())
        return "plane" if is_elsewhere else "step"

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _require_nobody_elses(self) -> None:
        mine = {id(parameter): parameter for parameter in self._parameters()}
        for other in _alive:
            for binding in other._bindings if other.store.is_open else ():
                if id(binding.parameter) in mine:
                    raise errors.StateError(
                        f"parameter {binding.name} belongs to the optimizer of {other._path}, which is open:"
                        " close() that one first"
                    )

    def _open(self, backend: str, threads: int) -> None:
        self._backend, self._threads = backend, threads
        self.progress = Progress(self._path, self._buffers)
        if not Store.exists(self._path):
            initial = {
                number: on_host(parameter, f"parameter {self._names.of(parameter)}")
                for number, parameter in enumerate(self._parameters())
            }
            state = NewState(initial, progress=(0, self.progress.at_the_beginning()))
            Store.create(self._layout, self._path, state, self._model_files)
            self._attach()
        else:
            self._attach()
            if self._saves_full_state:
                self._overwritten = self.weights.fingerprints()
        try:
            self.progress.open(self.store.position)
            self.weights.give_all()
        except BaseException:
            self._gradients.close()
            self.store.close()
            raise

    def _attach(self) -> None:
        """Opens the store for the parameters that there are."""
        self.store = Store(self._layout, self._path, self._backend, self._threads)
        self.arguments = StepArguments(len(self.param_groups))
        self._bind(
            [
                Binding(number, index, self._names.of(parameter), parameter)
                for number, (index, parameter) in enumerate(self._indexed())
            ]
        )

    def _bind(self, bindings: list[Binding]) -> None:
        self._bindings = bindings
        self._identities = [id(parameter) for parameter in self._parameters()]
        self.weights = Weights(self.store, bindings)
        self._gradients = self._way(weakref.proxy(self), bindings)

    def _indexed(self) -> list[tuple[int, torch.Tensor]]:
        return [(i, p) for i, group in enumerate(self.param_groups) for p in group["params"]]

    def _rebind_what_was_replaced(self) -> None:
        """Binds parameters that something has put into the groups instead of those that were there.

        :raises StateError: if the model does not name each of them
        """
        if [id(parameter) for parameter in self._parameters()] == self._identities:
            return
        names = self._names.renewed(self._parameters())
        numbers = {binding.name: binding for binding in self._bindings}
        if names is None or any(
            numbers[names.of(parameter)].group != index for index, parameter in self._indexed()
        ):
            raise errors.StateError(
                "param_groups hold other parameters than the store was opened for, and they are not the"
                " same ones by name: hand over model=model, so that replaced parameters are found again,"
                " or make the optimizer after whatever replaces them; add_param_group adds new ones"
            )
        self._gradients.require_nothing_taken()
        self._gradients.close()
        bindings = []
        for index, parameter in self._indexed():
            old = numbers[names.of(parameter)]
            old.require_shape_of(parameter)
            bindings.append(Binding(old.number, index, old.name, parameter))
        self._names = names
        self._bind(sorted(bindings, key=lambda binding: binding.number))

    # --- stepping

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Steps every parameter that has a gradient, as a transaction.

        A gradient that is not finite skips the whole step (in stream mode: its tensor), with a
        warning; ``step_was_skipped`` says so until the next step, ``skipped_steps`` counts.

        :param closure: computes the loss again, and its gradients
        :returns: the closure's result
        :raises ArgumentError: if a weight that something has changed is not finite; nothing has changed
        :raises NotFiniteError: if more than ``max_consecutive_skips`` steps in a row were skipped
        :raises StateError: if another thread is in a step
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with self._alone():
            _require_no_fault_handler()
            self._rebind_what_was_replaced()
            self._require_the_models_own()
            if self.progress.repeats():
                self._repeat()
                return loss
            try:
                taken = self._gradients.step()
            except errors.NotFiniteError as refusal:
                self._skipped(refusal)
            else:
                if taken is not None:
                    self.progress.published()
                    self._overwritten = {}
                self.step_was_skipped = False
                self._skips_in_a_row = 0
        return loss

    def _repeat(self) -> None:
        """Makes everything what the step left, if it was taken before the process ended."""
        if self.progress.repeat(self.param_groups):
            self.weights.give_back()
        self.step_was_skipped = False

    def _skipped(self, refusal: errors.NotFiniteError) -> None:
        self.skipped_steps += 1
        self.step_was_skipped = True
        self._skips_in_a_row += 1
        limit = self._max_skips_in_a_row
        if limit is not None and self._skips_in_a_row > limit:
            raise errors.NotFiniteError(
                f"{self._skips_in_a_row} steps in a row were skipped, max_consecutive_skips is {limit}:"
                f" {refusal}"
            ) from refusal
        warnings.warn(f"step {self.steps} skipped: {refusal}", stacklevel=3)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets gradients, those that have left ``.grad`` too."""
        if self.store.is_open:
            if set_to_none:
                self._gradients.forget()
            tail = self.progress.note_tail(self.param_groups)
            if tail is not None:
                self.store.call("publish", tail)
        super().zero_grad(set_to_none)

    def accumulating(self) -> ContextManager[None]:
        """A context for every micro-batch but the last one, which stream mode needs."""
        return self._gradients.accumulating()

    def take_over_changes(self) -> None:
        """Takes over weights of trained parameters that something else has written, as each step does.

        :raises ArgumentError: if one is not finite, naming it; nothing has changed then
        """
        self.weights.take_over(frozen_too=False)

    def request(self) -> bytes:
        """Writes the groups' values into the arguments; gives the position to publish."""
        self.arguments.set_clip_norm(self.clip_norm)
        self.arguments.set_rounding(self._rounding)
        for index, group in enumerate(self.param_groups):
            lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
            values = (_number("lr", lr), float(beta1), float(beta2), _number("weight_decay", decay))
            self.arguments.set_group(index, values)
        position = self.progress.next_position(self.param_groups)
        if len(position) > self.store.position_capacity:
            self._make_room_for(position)
        return position

    def _make_room_for(self, position: bytes) -> None:
        """Makes the store anew with more room for what a step publishes.

        :raises ArgumentError: if that is more than a store can have
        """
        layout = replace(self._layout, position_capacity=_position_capacity(2 * len(position)))
        self._gradients.require_nothing_taken()
        self._succeed(layout, NewState({}))

    def is_maximized(self, binding: Binding) -> bool:
        """Whether a parameter's group maximizes."""
        return bool(self.param_groups[binding.group]["maximize"])

    @property
    def is_repeating(self) -> bool:
        """Whether the next step was taken before the process ended."""
        return self.progress.is_repeating

    def _require_loadable(self, group: Mapping[str, Any]) -> None:
        _require_hyperparameters({**self.defaults, **group}, None)
        foreign = sorted(_OF_OTHERS.intersection(group))
        if foreign:
            raise errors.MismatchError(
                f"the state_dict is of another optimizer: its groups have {', '.join(foreign)}"
            )
        if group.get("cautious_factor", 1.0) != 1.0:
            raise errors.MismatchError(
                f"the state_dict is of a cautious Lion (cautious_factor {group['cautious_factor']}), whose"
                " steps are others than Lion's"
            )

    @property
    def _saves_full_state(self) -> bool:
        if self._full_state_dict is not None:
            return self._full_state_dict
        # A momentum in the parameter's dtype and a float32 master.
        size = sum(b.parameter.numel() * (b.parameter.element_size() + 4) for b in self._bindings if b.is_trained)
        return size <= _FULL_UP_TO_BYTES


def _require_no_fault_handler() -> None:
    """Java's threads use the signal SIGSEGV while they run: a handler of Python's would end the process."""
    if faulthandler.is_enabled():
        faulthandler.disable()
        warnings.warn(
            "faulthandler was enabled after the Java runtime had started and is disabled again: both use the"
            " signal SIGSEGV, and the process would end",
            stacklevel=4,
        )


def _position_capacity(buffer_bytes: int) -> int:
    wanted = _POSITION_BYTES + buffer_bytes + buffer_bytes // 4
    if wanted > _MOST_POSITION_BYTES:
        raise errors.ArgumentError(
            f"a step would publish {buffer_bytes} bytes of buffers, extra and tracked states, and can publish"
            f" {_MOST_POSITION_BYTES}: register buffers that can be computed with persistent=False, and save"
            " large states apart"
        )
    return wanted


def _require_one_of(what: str, value: Any, choices: list[Any]) -> None:
    if value not in choices:
        raise errors.ArgumentError(f"{what} is {value!r}, expected one of {choices}")


def _number(name: str, value: Any) -> float:
    """A number of whatever type.

    :raises ArgumentError: if it is text, as files of settings have 1e-4, or more than one
    """
    if isinstance(value, (str, bytes)):
        raise errors.ArgumentError(f"{name} is {value!r}, expected a number")
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise errors.ArgumentError(f"{name} is a tensor of shape {[*value.shape]}, expected one element")
    return float(value)


def _require_hyperparameters(group: dict[str, Any], clip_norm: float | None) -> None:
    """Checks the values of a group.

    :raises ArgumentError: if one is out of its bounds
    """
    lr, betas, decay = group["lr"], group["betas"], group["weight_decay"]
    for flag in ("capturable", "differentiable"):
        _require_one_of(flag, bool(group.get(flag)), [False])
    if not 0 <= _number("lr", lr) < float("inf"):
        raise errors.ArgumentError(f"Invalid learning rate: {lr}, expected 0 or more")
    if len(betas) != 2:
        raise errors.ArgumentError(f"betas are {betas}, expected two")
    for index, beta in enumerate(betas):
        if not 0 <= _number("beta", beta) < 1:
            raise errors.ArgumentError(f"Invalid beta parameter at index {index}: {beta}, expected 0 to below 1")
    if not 0 <= _number("weight_decay", decay) < float("inf"):
        raise errors.ArgumentError(f"Invalid weight_decay value: {decay}, expected 0 or more")
    if clip_norm is not None and not 0 < clip_norm < float("inf"):
        raise errors.ArgumentError(f"clip_norm is {clip_norm}, expected more than 0")
