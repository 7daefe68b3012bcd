"""Groups of a rule of their own: ``{"params": norms, "rule": "adamw", "lr": 1e-3}``."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Mapping

import torch

from . import errors
from ._lion import Lion
from ._optimizer import AsGroup, StoreOptimizer, StoreOptions
from ._others import AdEMAMix, LionK, Rule, SignSGD, Signum, Tiger
from ._pytorch import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RMSprop, Rprop
from ._rules import Moments

_BY_NAME: dict[str, tuple[type[StoreOptimizer], dict[str, Any]]] = {
    "lion": (Lion, {}),
    "adamw": (AdamW, {}),
    "adam": (Adam, {}),
    "adamax": (Adamax, {}),
    "nadam": (NAdam, {}),
    "ademamix": (AdEMAMix, {}),
    "adagrad": (Adagrad, {}),
    "adadelta": (Adadelta, {}),
    "rmsprop": (RMSprop, {}),
    "rmsprop-momentum": (RMSprop, {"momentum": 0.9}),
    "rmsprop-centered": (RMSprop, {"centered": True}),
    "rprop": (Rprop, {}),
    "sgd": (SGD, {}),
    "sgd-momentum": (SGD, {"momentum": 0.9}),
    "signsgd": (SignSGD, {}),
    "signum": (Signum, {}),
    "tiger": (Tiger, {}),
    "lion-k": (LionK, {}),
}
"""The class that has a rule's hyperparameters, and what makes it take this rule."""

_TYPES: dict[str, Moments] = {"-bf16": torch.bfloat16, "-f32": torch.float32, "-8bit": "8bit"}


def of_group(group: Mapping[str, Any]) -> StoreOptimizer:
    """What knows the rule that a group names: an optimizer of it that has no store.

    :raises ArgumentError: if there is no such rule, a value is out of its bounds, or the rule does not have it
    """
    asked = group["rule"]
    cls, values, moments = _found(asked)
    made: StoreOptimizer = cls(AsGroup(), store="", **values)
    _require_own(group, made)
    merged = {**made.defaults, **group}
    made._rule = made._rule_for(merged, moments)
    made._hyperparameters(merged)
    if isinstance(asked, str) and cls is not Rule and made._rule.name != asked:
        raise errors.ArgumentError(f"the group's rule is {asked}, and its values ask for {made._rule.name}")
    return made


def _found(asked: Any) -> tuple[Any, dict[str, Any], Moments]:
    if isinstance(asked, type) and issubclass(asked, StoreOptimizer) and asked not in (StoreOptimizer, Rule):
        return asked, {}, None
    if isinstance(asked, os.PathLike) or isinstance(asked, str) and ("/" in asked or asked.endswith(".rule")):
        return Rule, {"rule": asked}, None
    if isinstance(asked, str):
        for ending in ("", *_TYPES):
            cls, values = _BY_NAME.get(asked.removesuffix(ending), (None, {}))
            if cls is not None and asked.endswith(ending) and asked != "lion-bf16":
                return cls, values, _TYPES.get(ending)
    raise errors.ArgumentError(
        f"the group's rule is {asked!r}, expected one of {', '.join(_BY_NAME)}, such a name with -f32, -bf16 or -8bit"
        " for moments of that type, an optimizer of lionstore such as lionstore.AdamW, or the path of a file,"
        " ./NAME.rule"
    )


def _require_own(group: Mapping[str, Any], made: StoreOptimizer) -> None:
    """Checks that a group has no value that its rule would not heed."""
    for name in group:
        if name in StoreOptions.__annotations__:
            raise errors.ArgumentError(
                f"{name} is in a group, and is of the whole store: hand it over to the constructor"
                + (", or name the rule with -f32, -bf16 or -8bit" if name == "moments" else "")
            )
        if name in _hyperparameters() and name not in made.defaults:
            own = ", ".join(sorted(_hyperparameters().intersection(made.defaults)))
            raise errors.ArgumentError(
                f"{name} is no hyperparameter of the group's rule {group['rule']}, which has {own}"
            )


@lru_cache(maxsize=None)
def _hyperparameters() -> frozenset[str]:
    """What the rules in the box call theirs."""
    defaults = (cls(AsGroup(), store="", **values).defaults for cls, values in _BY_NAME.values())  # type: ignore[arg-type]
    return frozenset(name for each in defaults for name in each)
