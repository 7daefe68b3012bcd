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
from ._adapters import Adapter
from ._memory import addresses, on_host
from ._names import Names
from ._progress import Progress
from ._rules import UpdateRule
from ._state import MASTER, STEP, Reference, State, plain_values, refuse
from ._store import Layout, NewState, StepArguments, Store

_KEY = "lionstore"
_COUNTS = "step_counts"
_MOST_STEPS = 1 << 53
"""Beyond which a float64 does not count."""


class StateDicts(torch.optim.Optimizer):
    """An optimizer whose state lives in a store: what ``state`` and state dicts are; a subclass opens it."""

    store: Store
    weights: Weights
    arguments: StepArguments
    progress: Progress

    _HAS_STEP = False
    """Whether PyTorch's optimizer of this name has ``step`` in its state."""
    _HAS_ALL = True
    """Whether an entry of a parameter must have all of the rule's states; otherwise none will do."""
    _DERIVED: frozenset[str] = frozenset()
    """What PyTorch's has in its state beside tensors and ``step``, and ours computes when it is shown."""

    _rule: UpdateRule
    _of_groups: Sequence[StateDicts]
    _path: str
    _names: Names
    _adapter: Adapter | None
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
        """For each trained parameter the rule's states and, unless it is float32, ``master``: copies."""
        return self._state

    @state.setter
    def state(self, state: Any) -> None:
        if self._is_open:
            refuse()
        self._state: State = state

    def _trained(self) -> dict[torch.Tensor, Binding]:
        return {b.parameter: b for b in self._bindings if b.is_trained and b.has_elements}

    def _look_at(self, binding: Binding) -> dict[str, torch.Tensor]:
        """Copies of a parameter's states and, unless it is float32, its master."""
        parameter = binding.parameter
        its = self._of_groups[binding.group]
        states = {plane.name: self._copied(binding, index) for index, plane in enumerate(its._rule.planes)}
        count = self.store.call("stepCount", binding.number)
        shown = its._shown(states, count, self.param_groups[binding.group])
        narrow = {p.name for p in its._rule.planes if p.bytes == 2 and parameter.dtype is torch.bfloat16}
        for name in states.keys() & shown.keys():
            kind = torch.bfloat16 if name in narrow else torch.float32
            shown[name] = shown[name].to(parameter.device, kind)
        if parameter.dtype is not torch.float32:
            shown[MASTER] = self.weights.masters_now(binding).to(parameter.device)
        return shown

    def _shown(
        self, states: dict[str, torch.Tensor], count: int, group: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        """What PyTorch's optimizer of this name has in its state, of what the store has.

        :param count: how many steps the parameter has taken
        """
        return {STEP: torch.tensor(float(count), dtype=scalar_dtype()), **states} if self._HAS_STEP else states

    def _stored(
        self, entry: Mapping[str, Any], of: str, group: Mapping[str, Any], is_ours: bool
    ) -> dict[str, torch.Tensor]:
        """The reverse: the rule's states, in float32 on the host, of an entry that has all of them or none.

        :param of: the parameter's name
        :param is_ours: whether an optimizer of Lionstore has shown it
        """
        return {
            plane.name: on_host(entry[plane.name], f"{plane.name} of {of}", torch.float32)
            for plane in self._rule.planes
            if entry.get(plane.name) is not None
        }

    def _copied(self, binding: Binding, plane: int) -> torch.Tensor:
        copy = torch.empty(binding.parameter.shape, dtype=torch.float32)
        self.store.call("copyState", binding.number, plane, *addresses([copy]))
        return copy

    def _masters_of(self, binding: Binding) -> torch.Tensor:
        copy = torch.empty(binding.parameter.shape, dtype=torch.float32)
        self.store.call_with_lists("copyMasters", [binding.number], addresses([copy]))
        return copy

    def state_dict(self, *, full: bool | None = None) -> dict[str, Any]:
        """The groups' values, which store at which step has the state, and the state.

        The state (PyTorch's, and ``master`` of a parameter that is not float32) is read when somebody
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
            counted = {
                key: optimizer.store.call("stepCount", bindings[key].number)
                for key in state_dict["state"]
                if optimizer._counts_steps and not optimizer._of_groups[bindings[key].group]._HAS_STEP
            }
            if counted:
                there[_COUNTS] = counted
        else:
            state_dict["state"] = Reference(state_dict["state"])
        state_dict[_KEY] = there

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the groups' values and the state of a ``state_dict``, or of PyTorch's optimizer of this
        name (lion-pytorch's, for Lion).

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
        for its, group, now in zip(self._of_groups, saved, self.param_groups):
            if group.get("rule") != now.get("rule"):
                raise errors.MismatchError(
                    f"the state_dict is of another optimizer: a group's rule is {group.get('rule') or 'its own'},"
                    f" expected {now.get('rule') or 'the rule of the constructor, with no name in the group'}"
                )
            its._require_loadable(group)
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
        self._require_own(entries, bindings)
        by_number: dict[int, Mapping[str, Any]] = {}
        counts: dict[int, int] = {}
        for key, entry in entries.items():
            if bindings[key].is_trained:
                number = bindings[key].number
                by_number[number] = entry
                counts[number] = self._count_of(entry, bindings[key], (there or {}).get(_COUNTS, {}).get(key))
        is_replaced = self._has_replaced_weights_of(by_number)
        self.weights.take_over(frozen_too=True)
        by_group = [{**group, **values} for group, values in zip(self.param_groups, saved)]
        wanted = self._new_state(there, by_number, counts, by_group, is_replaced)
        if wanted is not None:
            self._overwritten = {}
            self._succeed(self._layout, wanted)
            if there is not None and "published" in there:
                self.progress.open(self.store.position)

    @property
    def _counts_steps(self) -> bool:
        """Whether the store counts each tensor's steps: one of its rules does."""
        return any(rule.counts_steps for rule in (self._rule, *(its._rule for its in self._of_groups)))

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
                f" step with {type(self).__name__}.restore, or save state_dict(full=True) (or make the optimizer with"
                " full_state_dict=True) where such a file shall take the store back. Weights that were"
                " loaded before this have not reached the store, and the model has the store's again"
            )

    def _require_own(
        self, entries: Mapping[Any, Mapping[str, Any]], bindings: Mapping[Any, Binding]
    ) -> None:
        for key, entry in entries.items():
            binding = bindings.get(key)
            if binding is None:
                raise errors.MismatchError(
                    f"the state_dict has a state for {key!r}, which is none of its parameters"
                )
            its = self._of_groups[binding.group]
            planes = [plane.name for plane in its._rule.planes]
            there = {name for name, value in entry.items() if value is not None}
            has_all = there.issuperset(planes) or not its._HAS_ALL and there.isdisjoint(planes)
            if there and its._HAS_STEP and STEP not in there:
                raise errors.MismatchError(f"the state of {binding.name} has no step, which its rule counts")
            if not has_all or not there <= {*planes, MASTER, STEP, *its._DERIVED}:
                raise errors.MismatchError(
                    f"the state of {binding.name} is {sorted(map(str, entry))}, expected"
                    f" {', '.join(planes) or 'none'}, and master perhaps: {type(its).__name__}'s"
                )
            if not binding.is_trained and any(bool(entry[name].any()) for name in there.intersection(planes)):
                raise errors.MismatchError(f"{binding.name} is frozen: it has no {planes[0]}")
            for name in there.intersection([*planes, MASTER]):
                if entry[name].shape != binding.parameter.shape:
                    raise errors.MismatchError(
                        f"{name} of {binding.name} has shape {[*entry[name].shape]}, expected"
                        f" {[*binding.parameter.shape]}"
                    )

    def _count_of(self, entry: Mapping[str, Any], binding: Binding, ours: int | None) -> int:
        """How many steps a parameter has taken.

        :param ours: as a state dict of ours says of rules whose state has no ``step``
        :raises MismatchError: if the entry has nonsense
        """
        if ours is not None:
            return ours
        its = self._of_groups[binding.group]
        if not its._HAS_STEP:
            return int(any(entry.get(plane.name) is not None for plane in its._rule.planes))
        step = float(entry.get(STEP, 0))
        if not (0 <= step <= _MOST_STEPS and step == int(step)):
            raise errors.MismatchError(f"step of {binding.name} is {step}, expected a whole number, 0 or more")
        return int(step)

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
            opened = _rounded(self._masters_of(binding), dtype)
            if fingerprint(weights) != self._overwritten[binding.number] or not torch.equal(
                opened, on_host(binding.parameter, binding.label)
            ):
                return False
        return True

    def _new_state(
        self,
        there: Mapping[str, Any] | None,
        entries: Mapping[int, Mapping[str, Any]],
        counts: Mapping[int, int],
        groups: Sequence[Mapping[str, Any]],
        is_replaced: bool,
    ) -> NewState | None:
        """What the store is to become; None if it is that already. What has no entry begins at zero.

        :param is_replaced: whether masters are the state's, whatever the model has
        """
        states: dict[tuple[int, int], torch.Tensor] = {}
        masters: dict[int, torch.Tensor] = {}
        changed_counts: dict[int, int] = {}
        for binding in self._trained().values():
            number = binding.number
            entry = entries.get(number, {})
            its = self._of_groups[binding.group]
            wanted = its._stored(entry, binding.name, groups[binding.group], there is not None)
            for index, plane in enumerate(its._rule.planes):
                now = self._copied(binding, index)
                value = wanted.get(plane.name, torch.zeros_like(now))
                if not _has_equal_bits(now, value):
                    states[number, index] = value
            if self._counts_steps and counts.get(number, 0) != self.store.call("stepCount", number):
                changed_counts[number] = counts.get(number, 0)
            if MASTER in entry and (is_replaced or binding.parameter.dtype is not torch.float32):
                refined = self._refined(binding, entry[MASTER], is_replaced)
                if refined is not None:
                    masters[number] = refined
        steps, position = self._new_progress(there, counts)
        is_there = steps == self.store.steps and position == self.store.position
        if is_there and not states and not masters and not changed_counts:
            return None
        return NewState(masters, states, changed_counts, (steps, position))

    def _refined(self, binding: Binding, saved: torch.Tensor, is_replaced: bool) -> torch.Tensor | None:
        """The masters that a parameter gets of saved ones; None if it has them."""
        given = on_host(saved, f"master of {binding.name}", torch.float32)
        master = self._masters_of(binding)
        now = on_host(binding.parameter, binding.label)
        is_weight = _rounded(given, now.dtype) == now
        refined = given if is_replaced else torch.where(is_weight, given, master)
        return None if _has_equal_bits(master, refined) else refined

    def _new_progress(self, there: Mapping[str, Any] | None, counts: Mapping[int, int]) -> tuple[int, bytes]:
        """How many steps a store that is loaded has completed, and what they have published."""
        if there is None:
            most = max(counts.values(), default=0)
            is_known = any(its._HAS_STEP for its in self._of_groups) and bool(counts)
            least = most if self._counts_steps else 0
            return most if is_known else max(self.store.steps, least), self.store.position
        position = self.store.position
        if "published" in there:
            position = bytes(there["published"].cpu().numpy())
        return int(there["steps"]), position

    def __setstate__(self, state: dict[str, Any]) -> None:
        # PyTorch's load_state_dict calls it; an optimizer of Lionstore is never pickled.
        if not self.__dict__.get("store"):
            _refuse_copies()
        own_names = [group.get("param_names") for group in self.param_groups]
        self.param_groups = state["param_groups"]
        for group, names, its in zip(self.param_groups, own_names, self._of_groups):
            for key, value in its.defaults.items():
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


def scalar_dtype() -> torch.dtype:
    """In what PyTorch counts steps."""
    return torch.float64 if torch.get_default_dtype() is torch.float64 else torch.float32


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
