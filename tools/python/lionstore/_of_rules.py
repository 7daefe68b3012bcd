"""Optimizers whose values go to a rule by their names."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence, Union

import torch

from . import _rules, errors
from ._hyperparameters import number, numbers_of, require_one_of
from ._optimizer import StoreOptimizer
from ._rules import UpdateRule

Place = Union[str, "tuple[str, int, int]"]
"""Where a group has a hyperparameter: under a name, or in a tuple of that name, at an index of so many."""

_FLAGS = ("maximize", "foreach", "fused", "capturable", "differentiable", "amsgrad")
_ON_THE_HOST = "steps are computed by the store, outside PyTorch: leave it out"
_REMEMBERED = 64


class OfRule(StoreOptimizer):
    """An optimizer that is a rule in the box; a subclass has the rule's name and its own constructor."""

    _NAME = ""
    _PLACES: Mapping[str, Place] = {"learning_rate": "lr"}
    """Where groups have those hyperparameters that the rule calls otherwise."""
    _REFUSED: Mapping[str, str] = {}
    """Values that must be false, and what to do instead."""

    def __init__(self, params: Iterable[Any] | torch.nn.Module, defaults: dict[str, Any], **options: Any) -> None:
        if "store" not in options:
            raise errors.ArgumentError(
                f"store is missing: lionstore.{type(self).__name__} keeps its state in the folder store=…"
            )
        self._checked: set[tuple[float, ...]] = set()
        super().__init__(params, defaults, **options)

    def _rule_name(self, group: Mapping[str, Any]) -> str:
        """Which rule a group's values ask for."""
        return self._NAME

    def _rule_for(self, group: Mapping[str, Any], moments: _rules.Moments) -> UpdateRule:
        self._require_supported(group)
        self._chosen = self._rule_name(group)
        return _rules.named(self._chosen, moments)

    def _require_supported(self, group: Mapping[str, Any]) -> None:
        for name in _FLAGS:
            require_one_of(name, group.get(name), [None, False, True])
        refused = {"capturable": _ON_THE_HOST, "differentiable": _ON_THE_HOST, **self._REFUSED}
        for name, advice in refused.items():
            value = group.get(name)
            if value:
                raise errors.ArgumentError(f"{name}={value} is not supported: {advice}")

    def _hyperparameters(self, group: Mapping[str, Any]) -> Sequence[float]:
        self._require_supported(group)
        name = self._rule_name(group)
        if name != self._chosen:
            raise errors.ArgumentError(
                f"a group's values ask for the rule {name}, the optimizer's is {self._chosen}: give the group"
                f' "rule": lionstore.{type(self).__name__}, so that it has one of its own'
            )
        pairs = zip(self._rule.hyperparameters, self._rule.defaults)
        values = tuple(self._value(each, default, group) for each, default in pairs)
        if values not in self._checked:
            self._rule.require_bounds(values)
            if len(self._checked) >= _REMEMBERED:
                self._checked.clear()
            self._checked.add(values)
        return values

    def _value(self, name: str, default: float, group: Mapping[str, Any]) -> float:
        place = self._PLACES.get(name, name)
        if isinstance(place, tuple):
            of, index, count = place
            return numbers_of(of, group[of], count)[index]
        return number(place, group[place]) if place in group else default
