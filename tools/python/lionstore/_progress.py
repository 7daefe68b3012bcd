"""Where a run is: what a step publishes beside the state, and how a run goes on from it."""

from __future__ import annotations

import warnings
from typing import Any, Iterable, Mapping, Sequence

from . import _position, errors
from ._buffers import Buffers


class Progress:
    """What each step publishes: ``extra``, the groups' values, what is tracked, random states, buffers.

    A run that was closed goes on where it was closed. One that was killed was somewhere behind its last
    step: perhaps the scheduler had been stepped, perhaps not. So its loop repeats the iteration of that
    step, from what the step before published; the repeated ``step()`` takes no step but makes
    everything what the taken one had left, and what comes after it is done once, whatever it is.
    """

    def __init__(self, store: str, buffers: Buffers) -> None:
        self._store = store
        self._buffers = buffers
        self.extra: dict[str, Any] = {}
        """The caller's own, published with each step."""
        self._tracked: Sequence[Any] = ()
        self._states: list[Any] | None = None
        self._states_at_step: list[Any] | None = None
        """What was tracked when the last step was published; a tail does not change it."""
        self._found: dict[str, Any] = {}
        self._found_buffers = b""
        self._is_foreign: errors.FormatError | None = None
        self._before: dict[str, Any] = self._now()
        self._next: tuple[dict[str, Any], dict[str, Any], bytes] | None = None
        self._newest = b""
        self._content: dict[str, Any] = {}
        """What was published last, with copies of what changes."""
        self._tails: list[dict[str, Any]] = []
        """What the killed run noted after the step that is repeated, in order."""
        self._has_gone_on = False
        self.is_repeating = False

    def _now(self) -> dict[str, Any]:
        return {"extra": _position.copied(self.extra), "random": _position.random_state()}

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
        """
        if self._is_foreign is not None:
            raise self._is_foreign
        self._tracked = tracked
        self._has_gone_on = True
        found = self._found
        if not found:
            self._before = self._now()
            return self.extra
        if len(found["tracked"]) != len(tracked):
            raise errors.MismatchError(
                f"{self._store}: its steps published {len(found['tracked'])} tracked states,"
                f" {len(tracked)} are to be restored"
            )
        self._restore(groups, found)
        self._states_at_step = self._states
        was_killed = not found["closed"]
        if was_killed and found["extra"]:
            self.is_repeating = True
            self._become(found["before"])
        else:
            self._become(found)
            if was_killed:
                self._step_what_was_due()
        self._before = self._now()
        return self.extra

    def _become(self, state: Mapping[str, Any]) -> None:
        extra = _position.copied(state["extra"])
        self.extra.clear()
        self.extra.update(extra)
        _position.restore_random_state(state["random"])

    def _restore(self, groups: Iterable[dict[str, Any]], state: Mapping[str, Any]) -> None:
        for group, values in zip(groups, state["groups"]):
            group.update(_position.copied(values))
        for each, its in zip(self._tracked, state["tracked"]):
            each.load_state_dict(_position.copied(its))
        self._states = [*state["tracked"]]

    def _step_what_was_due(self) -> None:
        """Without ``extra`` a loop cannot repeat an iteration: schedulers are stepped that used to be."""
        for each, was_stepped in zip(self._tracked, self._found["habits"]):
            if was_stepped and not _position.step_once(each) and hasattr(each, "get_last_lr"):
                warnings.warn(
                    f"{type(each).__name__} takes a metric, and whether it was stepped after the last step"
                    " of a killed run is not known: with optimizer.extra in use the loop repeats it",
                    stacklevel=4,
                )

    # --- repeating

    def repeats(self) -> bool:
        """Whether the step that is asked for is the one that was taken before the process ended."""
        if not self.is_repeating:
            return False
        if _position.is_same_place(self.extra, self._found["extra"]):
            return True
        self.is_repeating = False
        warnings.warn(
            f"{self._store}: the first step after resume() is not the last one of the killed run"
            f" (optimizer.extra is {self.extra}, was {self._found['extra']}): it is taken as a new one",
            stacklevel=4,
        )
        return False

    def repeat(self, groups: Iterable[dict[str, Any]]) -> None:
        """Makes everything what the step had left."""
        self.is_repeating = False
        self._restore(groups, self._found)
        self._states_at_step = self._states
        self._become(self._found)
        self._content = self._found
        self._tails = [*self._found.get("tails", [])]
        self._buffers.restore(self._found_buffers, self._store)
        self._before = self._now()

    @property
    def knows_where_it_is(self) -> bool:
        """Whether a place can be published: not if a run only looked at what another one has left."""
        return self._has_gone_on and not self.is_repeating

    # --- publishing

    def next_position(self, groups: Iterable[Mapping[str, Any]], *, closed: bool = False) -> bytes:
        """What the next step publishes.

        :raises ArgumentError: if something in it cannot be published
        """
        states = self._states_now()
        now = self._now()
        # The first scheduler's step is taken for granted: that of most comes after each step.
        habits = (
            [True] * len(states)
            if self._states_at_step is None
            else [not _position.is_equal(old, new) for old, new in zip(self._states_at_step, states)]
        )
        content = {
            **now,
            "groups": _hyperparameters(groups),
            "tracked": states,
            "habits": habits,
            "before": self._before,
            "closed": closed,
        }
        position = _position.encode(content, self._buffers.encoded())
        self._next = now, content, position
        return position

    def _states_now(self) -> list[Any]:
        return [_position.copied(_without_functions(each.state_dict())) for each in self._tracked]

    def at_the_end(self, groups: Iterable[Mapping[str, Any]]) -> bytes:
        """What a run publishes that is closed: where it is now."""
        position = self.next_position(groups, closed=True)
        self.published()
        return position

    def published(self) -> None:
        """The step has been taken: what comes next is published with the next one."""
        if self._next is not None:
            self._before, self._content, self._newest = self._next
            self._states = self._states_at_step = self._content["tracked"]
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
        states = self._states_now()
        if _position.is_equal(states, self._states):
            return None
        if self._tails:
            tail = self._tails.pop(0)
            self._restore(groups, tail)
            extra = _position.copied(tail["extra"])
            self.extra.clear()
            self.extra.update(extra)
            return None
        self._states = states
        tail = {"tracked": states, "groups": _hyperparameters(groups), "extra": _position.copied(self.extra)}
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
        renewed = self.newest_with_buffers_now()
        if renewed == self._newest:
            return None
        self._newest = renewed
        return renewed


def _hyperparameters(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    left_out = ("params", "name", "param_names")
    return [
        {key: _position.copied(value) for key, value in group.items() if key not in left_out}
        for group in groups
    ]


def _without_functions(state: Any) -> Any:
    """A state without the functions in it: who loads it has its own."""
    if isinstance(state, dict):
        return {key: value for key, value in state.items() if not callable(value)}
    return state
