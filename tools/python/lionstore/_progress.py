"""Where a run is: what a step publishes beside the state, and how a run goes on from it."""

from __future__ import annotations

import functools
import types
import warnings
import weakref
from itertools import compress
from typing import Any, Iterable, Mapping, Sequence

import torch

from . import _position, errors
from ._buffers import Buffers
from ._habits import Habits


class Progress:
    """What each step publishes: ``extra``, the groups' values, what is tracked, random states, buffers.

    A run that was closed goes on where it was closed. One that was killed was somewhere behind its last
    step: perhaps the scheduler had been stepped, perhaps not. So its loop repeats the iteration of that
    step, from what the step before published; the repeated ``step()`` takes no step but makes
    everything what the taken one had left, and what comes after it is done once, whatever it is.

    What is tracked has a habit, which the steps show: a scheduler usually changes after the step, what
    gives batches changes before it. The former begins the repeated iteration as the step found it,
    the latter as the step before found it. The values of the groups go with the schedulers.
    """

    def __init__(self, store: str, buffers: Buffers) -> None:
        self._store = store
        self._buffers = buffers
        self.extra: dict[str, Any] = {}
        """The caller's own, published with each step."""
        self._tracked: Sequence[Any] = ()
        self._states: list[Any] | None = None
        """Those of what is tracked, as the last step found them."""
        self._begun: list[Any] | None = None
        self._habits = Habits()
        self._found: dict[str, Any] = {}
        self._found_buffers = b""
        self._is_foreign: errors.FormatError | None = None
        self._before: dict[str, Any] = self._now([])
        self._next: tuple[dict[str, Any], dict[str, Any], Habits, bytes] | None = None
        self._newest = b""
        self._content: dict[str, Any] = {}
        """What was published last."""
        self._noted: list[Any] | None = None
        """The states that were published last, or noted since."""
        self._tails: list[dict[str, Any]] = []
        """What the killed run noted after the step that is repeated, in order."""
        self._has_gone_on = False
        self.is_repeating = False

    def _now(self, groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "extra": _position.copied(self.extra),
            "groups": [_position.copied(_hyperparameters(group)) for group in groups],
            "random": _position.random_state(),
        }

    # --- opening

    def at_the_beginning(self) -> bytes:
        """What a new store publishes: the buffers."""
        self._newest = _position.encode({}, self._buffers.encoded())
        return self._newest

    def open(self, position: bytes) -> None:
        """Gives the model the buffers that were published last; ``resume`` does the rest.

        :raises MismatchError: if they are of another model
        """
        self._newest = position
        self._found, self._is_foreign, self.is_repeating = {}, None, False
        try:
            self._found, self._found_buffers = _position.decode(position)
        except errors.FormatError as failure:
            self._is_foreign = failure
        self._buffers.restore(self._found_buffers, self._store)
        if self._found.get("closed"):
            self.extra = _position.copied(self._found["extra"])

    def resume(self, tracked: Sequence[Any], groups: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Goes on from what was found.

        :raises FormatError: if it was published by something else
        :raises MismatchError: if another number of states was tracked
        :raises ArgumentError: if a state cannot be published
        """
        if self._is_foreign is not None:
            raise self._is_foreign
        begun = _states_of(tracked)
        self._tracked = tracked
        self._has_gone_on = True
        found = self._found
        if found:
            self._go_on(found, groups)
        if not found or found["closed"]:
            self._begun = _states_of(tracked) if found else begun
        self._before = self._now(groups)
        return self.extra

    def _go_on(self, found: dict[str, Any], groups: Iterable[dict[str, Any]]) -> None:
        tracked = self._tracked
        if len(found["tracked"]) != len(tracked):
            raise errors.MismatchError(
                f"{self._store}: its steps published {len(found['tracked'])} tracked states,"
                f" {len(tracked)} are to be restored"
            )
        was_killed = not found["closed"]
        self._habits = Habits.of(found["habits"])
        self._states = found["tracked"] if was_killed else None
        self.is_repeating = bool(was_killed and found["extra"])
        if self.is_repeating:
            self._begin_to_repeat(found["before"], groups)
            return
        self._load(found["groups"], found["tracked"], groups)
        self._become(found)
        if was_killed:
            self._step_what_was_due()

    def _begin_to_repeat(self, before: Mapping[str, Any], groups: Iterable[dict[str, Any]]) -> None:
        is_before = [self._habits.is_before(index) for index in range(1, len(self._tracked) + 1)]
        pairs = zip(is_before, before["tracked"], self._found["tracked"])
        states = [old if was_before else new for was_before, old, new in pairs]
        moves_rates = any(map(_is_scheduler, compress(self._tracked, is_before)))
        self._load((before if moves_rates else self._found)["groups"], states, groups)
        self._become(before)

    def _become(self, state: Mapping[str, Any]) -> None:
        _position.replace(self.extra, _position.copied(state["extra"]))
        _position.restore_random_state(state["random"])

    def _load(self, of_groups: Sequence[Any], states: Sequence[Any], groups: Iterable[dict[str, Any]]) -> None:
        for group, values in zip(groups, of_groups):
            group.update(_position.copied(values))
        for each, now, state in zip(self._tracked, _states_of(self._tracked), states):
            # What gives batches would begin anew in the middle of a loop over it.
            if not _position.is_equal(now, state):
                each.load_state_dict(_position.copied(state))

    def _step_what_was_due(self) -> None:
        """Without ``extra`` a loop cannot repeat an iteration: schedulers are stepped that always were."""
        for index, each in enumerate(self._tracked, 1):
            is_due = self._habits.is_after_each(index)
            if is_due is False or not _is_scheduler(each):
                continue
            if is_due is None or not _position.step_once(each):
                warnings.warn(
                    f"whether {type(each).__name__} was stepped after the last step of a killed run is not"
                    " known, for it takes a metric or is not stepped after each step: with optimizer.extra"
                    " in use the loop repeats it",
                    stacklevel=4,
                )

    # --- repeating

    def repeats(self) -> bool:
        """Whether the step that is asked for was asked for before the process ended.

        Between two steps that were taken there may be some that were not, for a gradient scaler
        or a gradient that was not finite; and the loop begins an iteration earlier if it counts in
        ``extra`` after the step.
        """
        if not self.is_repeating:
            return False
        if _position.is_same_place(self.extra, self._found["extra"]):
            return True
        if _position.is_between(self._found["before"]["extra"], self.extra, self._found["extra"]):
            return True
        self.is_repeating = False
        warnings.warn(
            f"{self._store}: the first step after resume() is not the last one of the killed run"
            f" (optimizer.extra is {self.extra}, was {self._found['extra']}): it is taken as a new one",
            stacklevel=4,
        )
        return False

    def repeat(self, groups: Iterable[dict[str, Any]]) -> bool:
        """Makes everything what the step had left; whether this is it, not one that was never taken."""
        if not _position.is_same_place(self.extra, self._found["extra"]):
            return False
        self.is_repeating = False
        self._load(self._found["groups"], self._found["tracked"], groups)
        self._become(self._found)
        self._buffers.restore(self._found_buffers, self._store)
        self._before = self._now(groups)
        self._content = self._found
        self._states = self._noted = self._found["tracked"]
        self._tails = [*self._found.get("tails", [])]
        return True

    def knows_where_it_is(self) -> bool:
        """Whether a place can be published: not if a run only looked at what another one has left."""
        return self._has_gone_on and not self.is_repeating and not self._is_within_an_iteration()

    def _is_within_an_iteration(self) -> bool:
        """Whether the next place is there but its step is not, or a step but not the scheduler's after it.

        If it is closed there the next run goes on as after a kill: it repeats the last iteration.
        """
        has_moved_on = not _position.is_same_place(self._before["extra"], self.extra)
        is_new = self._states is None and not self._found
        if is_new and _position.names_a_place(self.extra):
            return True
        if has_moved_on and self._habits.is_before(0, if_not_seen=True):
            return True
        if self._states is None or not self._habits.pairs:
            return False
        states = zip(self._tracked, self._states, _states_of(self._tracked))
        return any(
            _is_scheduler(each) and self._habits.is_after_each(index) and _position.is_equal(old, now)
            for index, (each, old, now) in enumerate(states, 1)
        )

    # --- publishing

    def next_position(self, groups: Iterable[Mapping[str, Any]], *, closed: bool = False) -> bytes:
        """What the next step publishes.

        :raises ArgumentError: if something in it cannot be published
        """
        states = _states_of(self._tracked)
        now = self._now(groups)
        habits = self._habits
        if not closed:
            begun, last = self._begun, self._states
            habits = habits.after_step(
                None if begun is None else [self._before["extra"], *begun],
                None if last is None else [self._before["extra"], *last],
                [now["extra"], *states],
            )
        last = self._begun if self._states is None else self._states
        content = {
            **now,
            "tracked": states,
            "habits": habits.content(),
            "before": {
                **self._before,
                "tracked": [old if habits.is_before(i) else None for i, old in enumerate(last or states, 1)],
            },
            "closed": closed,
        }
        position = _position.encode(content, self._buffers.encoded())
        self._next = now, content, habits, position
        return position

    def at_the_end(self, groups: Iterable[Mapping[str, Any]]) -> bytes:
        """What a run publishes that is closed: where it is now."""
        position = self.next_position(groups, closed=True)
        self.published()
        return position

    def published(self) -> None:
        """The step has been taken: what comes next is published with the next one."""
        if self._next is not None:
            self._before, self._content, self._habits, self._newest = self._next
            self._states = self._noted = self._content["tracked"]
            self._next = None
            self._tails.clear()
            self._has_gone_on = True

    def note_tail(self, groups: Sequence[dict[str, Any]]) -> bytes | None:
        """Notes what is tracked if it has moved since the step: what to publish, None if it has not.

        A repeated iteration computes what comes before ``step()`` with the weights after it. So a
        scheduler that is stepped by the loss of training would not come to where it was: what it came to
        is published when the next iteration begins, and taken from there by the one that is repeated.
        """
        if self.is_repeating or not self._tracked or not self._content:
            return None
        states = _states_of(self._tracked)
        if _position.is_equal(states, self._noted):
            return None
        self._noted = states
        if self._tails:
            tail = self._tails.pop(0)
            self._noted = tail["tracked"]
            self._load(tail["groups"], tail["tracked"], groups)
            _position.replace(self.extra, _position.copied(tail["extra"]))
            return None
        now = self._now(groups)
        tail = {"tracked": states, "groups": now["groups"], "extra": now["extra"]}
        self._content = {**self._content, "tails": [*self._content.get("tails", []), tail]}
        self._newest = _position.encode(self._content, _position.buffers_in(self._newest))
        return self._newest

    def newest_with_buffers_now(self) -> bytes:
        """What was published last, with the buffers as they are now."""
        return _position.with_buffers(self._newest, self._buffers.encoded())

    def give_back_buffers(self) -> None:
        """Gives the model the buffers that were published last, whatever has been written since."""
        self._buffers.restore(_position.buffers_in(self._newest), self._store)

    def with_buffers_now(self) -> bytes | None:
        """The same, to be published; None if it has been."""
        if self.is_repeating:
            return None  # they are those of an iteration that was not begun yet
        renewed = self.newest_with_buffers_now()
        if renewed == self._newest:
            return None
        self._newest = renewed
        return renewed


def _hyperparameters(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key not in ("params", "name", "param_names")}


_FUNCTIONS = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
    weakref.ref,
    type,
    torch.nn.Module,
)


def _without_functions(state: Any) -> Any:
    """A state without the functions and modules in it: who loads it has its own."""
    if isinstance(state, dict):
        kept = {k: _without_functions(v) for k, v in state.items() if not isinstance(v, _FUNCTIONS)}
        return kept if type(state) is dict else type(state)(kept)
    if isinstance(state, list):
        return [_without_functions(each) for each in state]
    return state


def _states_of(tracked: Sequence[Any]) -> list[Any]:
    """Copies of the states of what is tracked.

    :raises ArgumentError: if one cannot be published
    """
    return [
        _position.copied(_without_functions(each.state_dict()), f"the state of {type(each).__name__}")
        for each in tracked
    ]


def _is_scheduler(tracked: Any) -> bool:
    return hasattr(tracked, "get_last_lr")
