"""When what is tracked changes: before the steps of an optimizer, or after them, and at each or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ._position import is_equal

States = Sequence[Any]


@dataclass(frozen=True)
class Habits:
    """What steps have shown so far: of ``extra``, and then of one thing that is tracked after the other."""

    before: tuple[bool, ...] | None = None
    """Whether each had changed between the beginning of a run and its first step; None: not seen yet."""
    changes: tuple[int, ...] = ()
    """Between how many pairs of steps each has changed."""
    pairs: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Habits:
        return cls(content["before"], content["changes"], content["pairs"])

    def content(self) -> dict[str, Any]:
        return {"before": self.before, "changes": self.changes, "pairs": self.pairs}

    def after_step(self, begun: States | None, last: States | None, now: States) -> Habits:
        """What is known after a step.

        :param begun: the states when the run began, None if it began within an iteration
        :param last: those that the last step found, None if there was none
        """
        before, changes = self.before, self.changes or (0,) * len(now)
        if before is None and begun is not None:
            before = _changes(begun, now)
        if last is None:
            return Habits(before, changes, self.pairs)
        changed = _changes(last, now)
        return Habits(before, tuple(map(int.__add__, changes, changed)), self.pairs + 1)

    def is_before(self, index: int, *, if_not_seen: bool = False) -> bool:
        """Whether it changes before the step."""
        return if_not_seen if self.before is None else self.before[index]

    def is_after_each(self, index: int) -> bool | None:
        """Whether it changes after each step; None if only after some. That of most is taken for granted."""
        if self.is_before(index):
            return False
        changes = self.changes[index] if self.pairs else 0
        return True if changes == self.pairs else None if changes else False


def _changes(old: States, new: States) -> tuple[bool, ...]:
    return tuple(not is_equal(a, b) for a, b in zip(old, new))
