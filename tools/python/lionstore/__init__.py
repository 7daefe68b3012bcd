"""Lionstore: PyTorch optimizers whose state lives in memory-mapped files, as transactions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    ArgumentError,
    BusyError,
    DeviceError,
    ExistsError,
    ForkError,
    FormatError,
    JavaMemoryError,
    LionstoreError,
    MismatchError,
    MissingError,
    NoSpaceError,
    NotFiniteError,
    RuntimeMissingError,
    StateError,
    SystemFailure,
    UnexpectedError,
    UnusableError,
)

if TYPE_CHECKING:
    from ._lion import Lion
    from ._optimizer import StoreOptimizer
    from ._others import AdEMAMix, LionK, Rule, SignSGD, Signum, Tiger
    from ._pytorch import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RMSprop, Rprop

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "Adamax",
    "AdamW",
    "AdEMAMix",
    "ArgumentError",
    "BusyError",
    "DeviceError",
    "ExistsError",
    "ForkError",
    "FormatError",
    "JavaMemoryError",
    "Lion",
    "LionK",
    "LionstoreError",
    "MismatchError",
    "MissingError",
    "NAdam",
    "NoSpaceError",
    "NotFiniteError",
    "RMSprop",
    "Rprop",
    "Rule",
    "RuntimeMissingError",
    "SGD",
    "SignSGD",
    "Signum",
    "StateError",
    "StoreOptimizer",
    "SystemFailure",
    "Tiger",
    "UnexpectedError",
    "UnusableError",
]

# The command line needs no PyTorch, which takes a second or more to import: an optimizer brings it.
_MODULES = {"Lion": "_lion", "StoreOptimizer": "_optimizer"}
_MODULES.update(dict.fromkeys(["AdEMAMix", "LionK", "Rule", "SignSGD", "Signum", "Tiger"], "_others"))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("._torch", __name__)  # explains what the next import would fail with
    value = getattr(importlib.import_module(f".{_MODULES.get(name, '_pytorch')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
