"""The state of a store as PyTorch's optimizers show and load theirs."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import Any, Iterator, Mapping, NoReturn, Sequence

import torch

from . import errors
from ._binding import Binding, Weights
from ._fingerprint import fingerprint
from ._gradients import Gradients
from ._memory import addresses, on_host
from ._names import Names
from ._progress import Progress
from ._state import MASTER, MOMENTUM, Reference, State, plain_values, refuse
from ._store import Layout, NewState, StepArguments, Store

_KEY = "lionstore"
_KNOWN = {MOMENTUM, MASTER, "step"}


class StateDicts(torch.optim.Optimizer):
    """An optimizer whose state lives in a store: what ``state`` and state dicts are; a subclass opens it."""

    store: Store
    weights: Weights
    arguments: StepArguments
    progress: Progress

    _path: str
    _names: Names
    _layout: Layout
    _bindings: Sequence[Binding]
    _gradients: Gradients
    _lock: Any
    _is_full: bool
    _is_open: bool
    _overwritten: dict[int, torch.Tensor]
    """Until the first step: the fingerprints of the weights that the model had when the store was opened."""

    def _succeed(self, layout: Layout, state: NewState) -> None:
        raise NotImplementedError

    @property
    def _saves_full_state(self) -> bool:
        raise NotImplementedError

    def _require_loadable(self, group: Mapping[str, Any]) -> None:
        """Checks a group of a state dict.

        :raises ArgumentError: if a value is out of its bounds
        """
        raise NotImplementedError

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other threads out.

        :raises StateError: if another thread is in, or the store is closed
        """
        if not self._lock.acquire(blocking=False):
            raise errors.StateError(
                f"another thread is using the optimizer of {self._path}: one at a time may step, save or"
                " load"
            )
        try:
            if not self.store.is_open:
                raise errors.StateError(f"the store {self._path} is closed: make the optimizer again")
            yield
        finally:
            self._lock.release()

    def _take_over_everything(self) -> None:
        """Makes the store what the model is: frozen parameters and buffers too.

        :raises StateError: if the model has other parameters now
        """
        self._require_the_models_own()
        self.weights.take_over(frozen_too=True, is_look=True)
        position = self.progress.with_buffers_now()
        if position is not None:
            self.store.call("publish", position)

    def _require_the_models_own(self) -> None:
        """Checks that the model has not got other parameters of the same names.

        :raises StateError: if it has
        """
        if self._names.are_in_model(binding.parameter for binding in self._bindings):
            return
        of_model = {name: identity for identity, name in self._names.of_model.items()}
        for binding in self._bindings:
            if of_model.get(binding.name, id(binding.parameter)) != id(binding.parameter):
                raise errors.StateError(
                    f"{binding.name} is another parameter in the model now than in the optimizer: put it"
                    " into param_groups too, or copy values into the one that was there; one of another"
                    " shape needs another store"
                )
    # --- the state, as PyTorch's optimizers show it

    @property  # type: ignore[override]
    def state(self) -> State:
        """For each trained parameter ``exp_avg`` and, unless it is float32, ``master``: copies."""
        return self._state

    @state.setter
    def state(self, state: Any) -> None:
        if self._is_open:
            refuse()
        self._state: State = state

    def _trained(self) -> dict[torch.Tensor, Binding]:
        return {b.parameter: b for b in self._bindings if b.is_trained and b.has_elements}

    def _look_at(self, binding: Binding) -> dict[str, torch.Tensor]:
        """Copies of a parameter's momentum and, unless it is float32, its master."""
        parameter = binding.parameter
        momentum = self._copied("copyMomentum", binding)
        if parameter.dtype is torch.float32:
            return {MOMENTUM: momentum.to(parameter.device)}
        kind = parameter.dtype if parameter.dtype is torch.bfloat16 else torch.float32
        return {
            MOMENTUM: momentum.to(parameter.device, kind),
            MASTER: self.weights.masters_now(binding).to(parameter.device),
        }

    def _copied(self, function: str, binding: Binding) -> torch.Tensor:
        copy = torch.empty(binding.parameter.shape, dtype=torch.float32)
        if function == "copyMasters":
            self.store.call_with_lists(function, [binding.number], addresses([copy]))
        else:
            self.store.call(function, binding.number, *addresses([copy]))
        return copy

    def momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        """A copy of a trained parameter's momentum (``exp_avg``), in float32."""
        with self._alone():
            binding = self._trained().get(parameter)
            if binding is None:
                return torch.zeros(parameter.shape)
            return self._copied("copyMomentum", binding)

    def state_dict(self, *, full: bool | None = None) -> dict[str, Any]:
        """The groups' values, which store at which step has the state, and the state.

        The state (``exp_avg``, and ``master`` of a parameter that is not float32) is read when somebody
        looks at it. A file that it is saved into carries it if it is full.

        :param full: whether it is; default: ``full_state_dict`` of the constructor
        """
        with self._alone():
            self._is_full = self._saves_full_state if full is None else full
            if self._is_full:
                # A reference leaves the store alone: what was loaded into the model may yet be refused.
                self._take_over_everything()
            state: dict[str, Any] = super().state_dict()
            return state

    @staticmethod
    def _complete_state_dict(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
        """Adds what is Lionstore's own to a state dict, before hooks of others see it."""
        assert isinstance(optimizer, StateDicts)
        there: dict[str, Any] = {"store": optimizer._path, "steps": optimizer.store.steps}
        if optimizer._is_full:
            bindings = optimizer._bindings_in_order()
            state_dict["state"] = {
                key: {
                    MASTER: bindings[key].parameter.detach().clone(),
                    **{name: value.clone() for name, value in entry.items()},
                }
                for key, entry in state_dict["state"].items()
            }
            position = bytearray(optimizer.progress.newest_with_buffers_now())
            if position:
                there["published"] = torch.frombuffer(position, dtype=torch.uint8).clone()
        else:
            state_dict["state"] = Reference(state_dict["state"])
        state_dict[_KEY] = there

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the groups' values and the state of a ``state_dict``, or the momentum of lion-pytorch's.

        Masters are those of the state where the model's weights are equal to them in their dtype, so
        load the model first; elsewhere the model's weights are the masters. If the model had the state's
        weights when the optimizer was made, and the store has replaced them, the model gets them again:
        Trainer loads a checkpoint's model before it makes an optimizer of ``optimizer_cls_and_kwargs``.
        The store is made anew if its state changes, beside the old one.

        :raises MismatchError: if it only refers to a store, at another step than this one; or if it is
            another optimizer's; nothing has changed then
        :raises ArgumentError: if a value is out of its bounds or not finite
        """
        with self._alone():
            # The last hook to be called: what others make of the dict is seen.
            hook = self.register_load_state_dict_pre_hook(StateDicts._take_state)
            try:
                super().load_state_dict(dict(state_dict))
            finally:
                hook.remove()

    @staticmethod
    def _take_state(
        optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]
    ) -> dict[str, Any]:
        assert isinstance(optimizer, StateDicts)
        optimizer._load(state_dict)
        return {**state_dict, "state": {}}

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        saved = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in saved]
        if sizes != [len(group["params"]) for group in self.param_groups]:
            return  # PyTorch says so
        for group in saved:
            self._require_loadable(group)
        keys = chain.from_iterable(group["params"] for group in saved)
        bindings = dict(zip(keys, self._bindings_in_order()))
        there = state_dict.get(_KEY)
        state = state_dict["state"]
        is_reference = len(state) == 0 or isinstance(state, Reference) and state.is_untouched
        if there is not None and is_reference:
            self._require_at(there)
            return
        entries: dict[Any, Mapping[str, Any]] = {
            key: plain_values(entry) for key, entry in state.items()
        }
        self._gradients.require_nothing_taken()
        self._require_lions(entries, bindings)
        by_number = {bindings[key].number: entry for key, entry in entries.items()}
        is_replaced = self._has_replaced_weights_of(by_number)
        self.weights.take_over(frozen_too=True)
        wanted = self._new_state(there, by_number, is_replaced)
        if wanted is not None:
            self._overwritten = {}
            self._succeed(self._layout, wanted)
            if there is not None and "published" in there:
                self.progress.open(self.store.position)

    def _bindings_in_order(self) -> list[Binding]:
        by_parameter = {id(binding.parameter): binding for binding in self._bindings}
        return [by_parameter[id(p)] for group in self.param_groups for p in group["params"]]

    def _require_at(self, there: Mapping[str, Any]) -> None:
        """Checks that a state dict which only refers to a store refers to what this one has.

        :raises MismatchError: if it is of another step
        """
        if there["steps"] != self.store.steps:
            self.weights.give_back()
            self.progress.give_back_buffers()
            raise errors.MismatchError(
                f"the state_dict is of step {there['steps']} of {there['store']} and carries no state,"
                f" {self._path} is at step {self.store.steps}: make the store anew from a snapshot of that"
                " step with Lion.restore, or save state_dict(full=True) (or make the optimizer with"
                " full_state_dict=True) where such a file shall take the store back. Weights that were"
                " loaded before this have not reached the store, and the model has the store's again"
            )

    def _require_lions(
        self, entries: Mapping[Any, Mapping[str, Any]], bindings: Mapping[Any, Binding]
    ) -> None:
        for key, entry in entries.items():
            binding = bindings.get(key)
            if binding is None:
                raise errors.MismatchError(
                    f"the state_dict has a state for {key!r}, which is none of its parameters"
                )
            if not entry.keys() <= _KNOWN or MOMENTUM not in entry.keys():
                raise errors.MismatchError(
                    f"the state of {binding.name} is {sorted(map(str, entry))}, expected exp_avg, and master"
                    " perhaps: Lion's"
                )
            if not binding.is_trained:
                raise errors.MismatchError(f"{binding.name} is frozen: it has no momentum")
            for name in (MOMENTUM, MASTER):
                if name in entry and entry[name].shape != binding.parameter.shape:
                    raise errors.MismatchError(
                        f"{name} of {binding.name} has shape {[*entry[name].shape]}, expected"
                        f" {[*binding.parameter.shape]}"
                    )

    def _has_replaced_weights_of(self, entries: Mapping[int, Mapping[str, Any]]) -> bool:
        """Whether the model had this state's weights, all of them, until the store was opened and replaced them."""
        if not self._overwritten:
            return False
        for binding in self._trained().values():
            given = entries.get(binding.number, {}).get(MASTER)
            if given is None:
                return False
            dtype = binding.parameter.dtype
            weights = _rounded(on_host(given, f"master of {binding.name}", torch.float32), dtype)
            opened = _rounded(self._copied("copyMasters", binding), dtype)
            if fingerprint(weights) != self._overwritten[binding.number] or not torch.equal(
                opened, on_host(binding.parameter, binding.label)
            ):
                return False
        return True

    def _new_state(
        self,
        there: Mapping[str, Any] | None,
        entries: Mapping[int, Mapping[str, Any]],
        is_replaced: bool,
    ) -> NewState | None:
        """What the store is to become; None if it is that already. What has no entry begins at zero.

        :param is_replaced: whether masters are the state's, whatever the model has
        """
        momenta: dict[int, torch.Tensor] = {}
        masters: dict[int, torch.Tensor] = {}
        for binding in self._trained().values():
            number, name = binding.number, binding.name
            entry = entries.get(number, {})
            momentum = self._copied("copyMomentum", binding)
            wanted = (
                on_host(entry[MOMENTUM], f"exp_avg of {name}", torch.float32)
                if MOMENTUM in entry
                else torch.zeros_like(momentum)
            )
            if not _has_equal_bits(momentum, wanted):
                momenta[number] = wanted
            if MASTER in entry and (is_replaced or binding.parameter.dtype is not torch.float32):
                given = on_host(entry[MASTER], f"master of {name}", torch.float32)
                master = self._copied("copyMasters", binding)
                now = on_host(binding.parameter, binding.label)
                is_weight = _rounded(given, now.dtype) == now
                refined = given if is_replaced else torch.where(is_weight, given, master)
                if not _has_equal_bits(master, refined):
                    masters[number] = refined
        steps = self.store.steps if there is None else int(there["steps"])
        position = self.store.position
        if there is not None and "published" in there:
            position = bytes(there["published"].cpu().numpy())
        if not momenta and not masters and steps == self.store.steps and position == self.store.position:
            return None
        return NewState(masters, momenta, (steps, position))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # PyTorch's load_state_dict calls it; an optimizer of Lionstore is never pickled.
        if not self.__dict__.get("store"):
            _refuse_copies()
        own_names = [group.get("param_names") for group in self.param_groups]
        self.param_groups = state["param_groups"]
        for group, names in zip(self.param_groups, own_names):
            for key, value in self.defaults.items():
                group.setdefault(key, value)
            if names is not None:
                group["param_names"] = names

    def __getstate__(self) -> NoReturn:
        _refuse_copies()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        _refuse_copies()

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        _refuse_copies()

    def __copy__(self) -> NoReturn:
        _refuse_copies()


def _has_equal_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.equal(left.view(torch.int32), right.view(torch.int32))


def _rounded(masters: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The weights of masters as the store gives them (core/ARITHMETIC.md): bfloat16 has ties away from zero."""
    if dtype is torch.bfloat16:
        return (masters.view(torch.int32) + 0x8000 >> 16).to(torch.int16).view(torch.bfloat16)
    return masters.to(dtype)


def _refuse_copies() -> NoReturn:
    raise errors.StateError(
        "an optimizer of Lionstore cannot be copied or pickled: there is one for its store. What it holds"
        " goes into state_dict(full=True) or a snapshot; another process opens the store when this one has"
        " closed it"
    )
