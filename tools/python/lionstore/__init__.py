"""Lionstore: a PyTorch optimizer whose state lives in memory-mapped files, as transactions."""

from . import _torch as _torch  # first: it explains what the other imports would fail with
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
from ._optimizer import Lion

__all__ = [
    "ArgumentError",
    "BusyError",
    "DeviceError",
    "ExistsError",
    "ForkError",
    "FormatError",
    "JavaMemoryError",
    "Lion",
    "LionstoreError",
    "MismatchError",
    "MissingError",
    "NoSpaceError",
    "NotFiniteError",
    "RuntimeMissingError",
    "StateError",
    "SystemFailure",
    "UnexpectedError",
    "UnusableError",
]
