"""The base of PyTorch optimizers whose state lives in a store."""

from __future__ import annotations

import faulthandler
import os
import threading
import warnings
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Iterable, Iterator, Mapping, Sequence, TypedDict

import torch

from . import _rules, errors
from ._adapters import adapter_of, listed, model_of, require_no_adapters, with_adapters
from ._binding import Binding, Weights
from ._buffers import Buffers
from ._files import files_of
from ._gradients import Gradients
from ._hyperparameters import (
    require_clip_norm,
    require_one_of,
    require_type,
    require_whole,
)
from ._hooked import IntoPlane
from ._memory import on_host
from ._names import Names, default_plane, layout_groups, require_plane_fits
from ._progress import Progress
from ._rules import UpdateRule
from ._state import State
from ._store import ROUNDINGS, Layout, NewState, StepArguments, Store, Tensor
from ._state_dicts import StateDicts
from ._stored import Stored, absolute
from ._streamed import Streamed

if TYPE_CHECKING:
    from typing_extensions import Required

_WAYS: dict[str, type[Gradients]] = {"step": Gradients, "plane": IntoPlane, "stream": Streamed}
_BACKENDS = ("auto", "vector", "scalar", "opencl")
_POSITION_BYTES = 256 << 10
_MOST_POSITION_BYTES = 1 << 28
_LARGEST_SEED = (1 << 63) - 1
_FULL_UP_TO_BYTES = 1 << 30

_alive: weakref.WeakSet[StoreOptimizer] = weakref.WeakSet()


class AsGroup:
    """In the place of parameters: the optimizer is to know its rule for a group of another one, without a store."""


class StoreOptions(TypedDict, total=False):
    """What every optimizer of Lionstore is made with, by keyword; :class:`StoreOptimizer` explains it."""

    store: Required[str | os.PathLike[str]]
    rounding: str | None
    seed: int
    clip_norm: float | None
    gradients: str | None
    gradient_dtype: torch.dtype | None
    moments: _rules.Moments
    backend: str
    threads: int | None
    model: torch.nn.Module | None
    model_files: str | os.PathLike[str] | None
    full_state_dict: bool | None
    max_consecutive_skips: int | None


class StoreOptimizer(Stored):
    """An optimizer whose state lives in a store; a subclass has the rule and the names of its values.

    The master of a parameter is exact float32, whatever the parameter's dtype. A step is a transaction:
    after ``kill -9``, the same constructor call finds the state before the step or after it, never a
    mixture.

    If a store exists, it is opened, and **the model gets the store's weights**. Otherwise a store is
    made from the model's weights. From then on, a bfloat16 parameter on the CPU uses the store's
    memory; every other parameter is written after each step. The next step starts from the values that
    the model has, whoever changed them.

    :param params: ``model.named_parameters()``, or groups of named parameters; a group may have values and
        a ``name`` of its own, and a ``rule``: the name of a rule, a class of this package, or the path of a
        ``.rule`` file. Such a group has that rule's hyperparameters, with that rule's defaults. Parameters without names need ``model``. A model in this place means its
        ``named_parameters()`` and ``model=``: Trainer calls optimizers of ``optimizer_cls_and_kwargs``
        this way
    :param defaults: the values of groups that have none of their own
    :param store: the store's folder; on a tmpfs (``/dev/shm``) it takes only memory
    :param rounding: the rounding of states in bfloat16, ``"nearest"`` or ``"stochastic"``; default: the
        store's own, and nearest for a new store
    :param seed: the seed of stochastic rounding, for a new store
    :param clip_norm: the global norm that gradients are clipped to, exactly and deterministically
    :param gradients: ``"step"``: gradients stay in ``.grad`` until ``step()``. ``"plane"``: they leave
        for the store as they appear, which frees their memory; several backward passes add up, and the
        store answers what ``.grad`` is asked. ``"stream"``: each tensor is stepped as its gradient
        appears, and no gradient is kept, so a killed step cannot be finished and the norm cannot be
        clipped. Default: ``"plane"`` if a parameter is on a device other than the CPU, else ``"step"``
    :param gradient_dtype: the type in which a new store keeps gradients: ``torch.float32``, or
        ``torch.bfloat16``, which accepts only bfloat16 gradients; default: float32 unless every trained
        parameter is bfloat16
    :param moments: the type of the rule's states, ``torch.float32``, ``torch.bfloat16``, or ``"8bit"``
        in blocks of 64 with a scale (1.0625 bytes per parameter); default: the rule's own
    :param backend: where steps are computed: ``"auto"``, ``"vector"``, ``"scalar"``,
        ``"opencl[:device]"``
    :param threads: the number of threads that step; default: one per core
    :param model: the model. It supplies names and buffers (published with each step, part of
        snapshots), and parameters that a framework has replaced are found again in it
    :param model_files: a folder whose files, except weights, a new store copies for its snapshots:
        what ``save_pretrained`` of the model, its configuration or its tokenizer wrote
    :param full_state_dict: whether ``state_dict()`` carries the whole state into a file, or only names
        the store and the step; default: the whole state if it takes a gibibyte or less
    :param max_consecutive_skips: how many steps in a row may be skipped, because of gradients that are
        not finite, before the next skip is an error; default: no limit
    :raises ArgumentError: if a value is out of bounds or not supported, a parameter has no name, or a
        parameter holds values that a store cannot hold
    :raises MismatchError: if the store holds another model, or is of another rule
    :raises BusyError: if another optimizer is writing the store
    :raises StateError: if another Lionstore optimizer has one of the parameters
    :raises UnusableError: if the store cannot be trusted: restore a snapshot
    """

    _OTHERS: frozenset[str] = frozenset()
    """Values that groups of other optimizers have and this one's do not: their state dicts are refused."""

    _of_groups: list[StoreOptimizer]
    """What knows the rule of each group: this one, or one of another rule."""

    def __init__(
        self,
        params: Iterable[Any] | torch.nn.Module | AsGroup,
        defaults: dict[str, Any],
        *,
        store: str | os.PathLike[str],
        rounding: str | None = None,
        seed: int = 0,
        clip_norm: float | None = None,
        gradients: str | None = None,
        gradient_dtype: torch.dtype | None = None,
        moments: _rules.Moments = None,
        backend: str = "auto",
        threads: int | None = None,
        model: torch.nn.Module | None = None,
        model_files: str | os.PathLike[str] | None = None,
        full_state_dict: bool | None = None,
        max_consecutive_skips: int | None = None,
    ) -> None:
        if isinstance(params, AsGroup):
            self.defaults = defaults
            return
        require_one_of("rounding", rounding, [None, *ROUNDINGS])
        require_one_of("gradients", gradients, [None, *_WAYS])
        require_one_of("gradient_dtype", gradient_dtype, [None, torch.float32, torch.bfloat16])
        require_one_of("moments", moments, _rules.MOMENTS)
        require_one_of("full_state_dict", full_state_dict, [None, False, True])
        require_whole("seed", seed, 0, _LARGEST_SEED)
        if threads is not None:
            require_whole("threads", threads, 1)
        if max_consecutive_skips is not None:
            require_whole("max_consecutive_skips", max_consecutive_skips, 1)
        require_type("backend", backend, str)
        require_one_of("backend", backend.partition(":")[0], _BACKENDS)
        if model is not None:
            require_type("model", model, torch.nn.Module)
        if gradients == "stream" and clip_norm is not None:
            raise errors.ArgumentError(
                "stream mode cannot clip: the norm is of all gradients, and none is kept until the"
                ' last is there; choose gradients="plane"'
            )
        require_clip_norm(clip_norm)
        self._path = absolute(store, "store")
        self._model_files = None if model_files is None else absolute(model_files, "model_files")
        self._rounding = rounding
        if isinstance(params, torch.nn.Module):
            model = params if model is None else model
            params = params.named_parameters()
        given: Any = params
        if model is None:
            model = with_adapters(model_of(given))
        if isinstance(given, Iterator):
            given = listed(given)
        first = {**defaults, **_first_of(given)}
        self._rule = self._rule_for(first, moments)
        self._hyperparameters(first)
        self._of_groups = []
        adapted = with_adapters(model)
        self._adapter = None
        if adapted is not None:
            given = listed(given)
            self._adapter = adapter_of(adapted, given, Store.tensors_in(self._path))
        self._names = Names(model, self._adapter)
        self._buffers = Buffers(model, self._adapter)
        self._is_open = False
        self._overwritten = {}
        super().__init__(given, defaults)
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
        if model is None:
            require_no_adapters({*map(self._names.of, self._parameters())}.difference(Store.tensors_in(self._path)))
        self._stored_groups = Store.groups_in(self._path)
        groups = self._layout_groups()
        capacity = _position_capacity(len(self._buffers.encoded()))
        self._layout = Layout(self._rule, self._group_rules(), groups, rounding or "nearest", seed, plane, capacity)
        require_plane_fits(self._layout, self._parameters())
        self._require_nobody_elses()
        self._open(backend, threads or 0)
        self._is_open = True
        _alive.add(self)

    # --- what a subclass has

    def _rule_for(self, group: Mapping[str, Any], moments: _rules.Moments) -> UpdateRule:
        """The rule that a group's values ask for.

        :raises ArgumentError: if there is none
        """
        raise NotImplementedError

    def _hyperparameters(self, group: Mapping[str, Any]) -> Sequence[float]:
        """Checks a group's values; gives the rule's hyperparameters, in its order.

        :raises ArgumentError: if one is no number, out of its bounds, or not supported
        """
        raise NotImplementedError

    # --- opening

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group, also during training: the store is then rebuilt and keeps its state.

        :raises ArgumentError: if a value is out of bounds, or a parameter has no name
        """
        count = len(self.param_groups)
        try:
            taken = self._names.taken_from(param_group)
            if "rule" in taken:
                self._add_group_of_its_own_rule(taken)
            else:
                self._hyperparameters({**self.defaults, **taken})
                self._of_groups.append(self)
                super().add_param_group(taken)
            if self._is_open:
                self.update_layout()
        except BaseException:
            del self.param_groups[count:], self._of_groups[count:]
            self._names.forget_newest()
            raise

    def _add_group_of_its_own_rule(self, group: dict[str, Any]) -> None:
        from ._group_rules import of_group  # knows the subclasses

        its = of_group(group)
        self._of_groups.append(its)
        # What is maximized is the loss, whatever the rule.
        common = {"maximize": self.defaults.get("maximize", False)}
        made = {**its.defaults, **common, **group, "rule": its._rule.name}
        others = self.defaults.keys() - made.keys()
        super().add_param_group(made)
        for name in others:  # PyTorch gives every group the constructor's
            del self.param_groups[-1][name]

    def _group_rules(self) -> list[UpdateRule]:
        return [its._rule for its in self._of_groups]

    def _hyperparameters_of(self, index: int) -> Sequence[float]:
        """A group's hyperparameters, in the order of its rule.

        :raises ArgumentError: if one is wrong, or the group's rule has been changed
        """
        group, its = self.param_groups[index], self._of_groups[index]
        expected = None if its is self else its._rule.name
        if group.get("rule") != expected:
            raise errors.ArgumentError(
                f"group {index} has rule {group.get('rule')} now, its store has {expected or its._rule.name}: a"
                " group keeps the rule that it was made with; make an optimizer with a new store"
            )
        return its._hyperparameters(group)

    def update_layout(self) -> None:
        """Rebuilds the store for what is trained now. Call it after changing ``requires_grad``.

        Call it between two steps. Meanwhile it needs room for a second store.
        """
        with self._alone():
            self._gradients.require_nothing_taken()
            self._names.require_nothing_left_out()
            known = {binding.name for binding in self._bindings}
            layout = replace(self._layout, groups=self._layout_groups(), group_rules=self._group_rules())
            require_plane_fits(layout, self._parameters())
            masters = {
                number: on_host(parameter, f"parameter {self._names.of(parameter)}")
                for number, parameter in enumerate(self._parameters())
                if self._names.of(parameter) not in known
            }
            self._succeed(layout, NewState(masters))

    def _succeed(self, layout: Layout, state: NewState) -> None:
        """Replaces this store by one of another layout or state."""
        self.wait_for_snapshot()
        self.weights.take_over(frozen_too=True)
        self._gradients.close()
        self.store.succeed(layout, state)
        self._layout = layout
        self._attach()
        self.weights.give_all()

    def _layout_groups(self) -> list[tuple[str, list[Tensor]]]:
        # An adapter has the names that PEFT saves it under.
        model = self._names.model if self._adapter is None else None
        held = frozenset(Store.tensors_in(self._path))
        self._files = self._buffers.files = files_of(model, self._buffers.named, held)
        return layout_groups(self.param_groups, self._names, self._files.tensors, self._stored_groups)

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
            Store.create(self._layout, self._path, state, self._model_files, self._adapter)
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
        self.arguments = StepArguments([len(rule.hyperparameters) for rule in self._group_rules()])
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
        warning. ``step_was_skipped`` stays true until the next step; ``skipped_steps`` counts.

        :param closure: computes the loss and its gradients again
        :returns: the closure's result
        :raises ArgumentError: if a weight that was changed between steps is not finite; nothing changes then
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
        """Restores everything that the step left, if it was taken before the process ended."""
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
        """Discards gradients, including those that have left ``.grad``."""
        if self.store.is_open:
            if set_to_none:
                self._gradients.forget()
            tail = self.progress.note_tail(self.param_groups)
            if tail is not None:
                self.store.call("publish", tail)
        super().zero_grad(set_to_none)

    def accumulating(self) -> ContextManager[None]:
        """A context that stream mode needs around every micro-batch except the last."""
        return self._gradients.accumulating()

    def take_over_changes(self) -> None:
        """Takes over weights of trained parameters that were written between steps, as each step does.

        :raises ArgumentError: if a weight is not finite, naming it; nothing changes then
        """
        self.weights.take_over(frozen_too=False)

    def request(self) -> bytes:
        """Writes the groups' values into the arguments and returns the position to publish."""
        require_clip_norm(self.clip_norm)
        self.arguments.set_clip_norm(self.clip_norm)
        self.arguments.set_rounding(self._rounding)
        for index in range(len(self.param_groups)):
            self.arguments.set_group(index, self._hyperparameters_of(index))
        position = self.progress.next_position(self.param_groups)
        if len(position) > self.store.position_capacity:
            self._make_room_for(position)
        return position

    def _make_room_for(self, position: bytes) -> None:
        """Rebuilds the store with more room for what a step publishes.

        :raises ArgumentError: if a store cannot have that much room
        """
        layout = replace(self._layout, position_capacity=_position_capacity(2 * len(position)))
        self._gradients.require_nothing_taken()
        self._succeed(layout, NewState({}))

    def is_maximized(self, binding: Binding) -> bool:
        """Whether a parameter's group maximizes."""
        return bool(self.param_groups[binding.group]["maximize"])

    @property
    def is_repeating(self) -> bool:
        """Whether the next ``step()`` repeats one that was taken before the process ended."""
        return self.progress.is_repeating

    def _require_loadable(self, group: Mapping[str, Any]) -> None:
        foreign = sorted(self._OTHERS.intersection(group))
        if foreign:
            raise errors.MismatchError(
                f"the state_dict is of another optimizer: its groups have {', '.join(foreign)}"
            )
        self._hyperparameters({**self.defaults, **group})

    @property
    def _saves_full_state(self) -> bool:
        if self._full_state_dict is not None:
            return self._full_state_dict
        # A float32 master, and states in their own type, or a parameter's that is wider.
        size = 0.0
        for binding in (b for b in self._bindings if b.is_trained):
            planes, parameter = self._of_groups[binding.group]._rule.planes, binding.parameter
            states = (max(plane.bytes, parameter.element_size()) for plane in planes)
            size += parameter.numel() * (4 + sum(states))
        return size <= _FULL_UP_TO_BYTES


def _first_of(given: Any) -> dict[str, Any]:
    """The values of the first group that has its own, and no rule of its own."""
    groups = given if isinstance(given, list) else []
    first = next((group for group in groups if isinstance(group, dict) and "rule" not in group), {})
    return {key: value for key, value in first.items() if key != "params"}


def _require_no_fault_handler() -> None:
    """Java's threads use the signal SIGSEGV while they run, so Python's handler would end the process."""
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
