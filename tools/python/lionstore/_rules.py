"""Update rules, as the Java half has them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Sequence, Union

import torch

from ._java import java

Moments = Union[torch.dtype, str, None]
"""What states are kept in."""

_STATES: dict[Moments, int] = {None: 0, torch.bfloat16: 1, torch.float32: 2, "8bit": 3}

MOMENTS = [*_STATES]
"""The values of the parameter of this name."""


@dataclass(frozen=True)
class Plane:
    """A state that a rule keeps of each parameter: what PyTorch calls it, and its bytes per element, with its part of a
    scale."""

    name: str
    bytes: float


@dataclass(frozen=True)
class UpdateRule:
    """A rule: its hyperparameters with their defaults, in its order, and its states."""

    handle: int
    name: str
    hyperparameters: tuple[str, ...]
    defaults: tuple[float, ...]
    planes: tuple[Plane, ...]
    counts_steps: bool
    """Whether a step depends on how many a tensor has taken; only then a store counts them."""

    def require_bounds(self, values: Sequence[float]) -> None:
        """Checks hyperparameters, in the rule's order.

        :raises ArgumentError: naming the one that is out of its bounds
        """
        memory = (ctypes.c_double * len(values))(*values)
        java().call("requireBounds", self.handle, len(values), ctypes.addressof(memory))


@lru_cache(maxsize=None)
def named(name: str, moments: Moments = None) -> UpdateRule:
    """The rule in the box of this name.

    :param moments: the type of its states; default: as its text has them
    """
    return _described(java().call("namedRule", name, _STATES[moments]))


def of_text(text: str, file: str, moments: Moments = None) -> UpdateRule:
    """The rule that a text describes.

    :param file: where the text is, which errors name
    :raises ArgumentError: if it describes none, with file, line and column
    """
    return _described(java().call("ruleOf", text, file, _STATES[moments]))


def _described(handle: int) -> UpdateRule:
    lines = [line.split("\t") for line in java().call_for_text("describeRule", handle).split("\n")]
    _, name, counts = lines[0]
    hyperparameters = [(line[1], float(line[2])) for line in lines if line[0] == "hyperparameter"]
    return UpdateRule(
        handle,
        name,
        tuple(each for each, _ in hyperparameters),
        tuple(default for _, default in hyperparameters),
        tuple(Plane(line[1], float(line[2])) for line in lines if line[0] == "state"),
        counts == "1",
    )
