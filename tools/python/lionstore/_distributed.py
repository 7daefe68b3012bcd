"""Gradients that something reduces over ranks after hooks have seen them."""

from __future__ import annotations

import gc
import warnings
from typing import Sequence

import torch

_MOST_SEARCHES = 8
"""A search goes through every object of the process; a model is wrapped before its first steps."""


class LaterReduction:
    """Whether DistributedDataParallel reduces the gradients of parameters, which it does after each hook."""

    reason = (
        "DistributedDataParallel reduces gradients after they appear, when stream and plane mode take"
        " them: "
    )

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self._parameters = {id(parameter) for parameter in parameters}
        self._searches = 0
        self._is_due = True
        self._is_found = False
        self._is_told = False

    def is_expected(self) -> bool:
        """Whether a wrapper of the parameters is there."""
        is_possible = torch.distributed.is_available() and torch.distributed.is_initialized()
        if is_possible and self._is_due and not self._is_found:
            self._is_due = False
            self._searches += 1
            self._is_found = self._search()
        return is_possible and self._is_found

    def search_again(self) -> None:
        """Searches again before the next step, if that is among the first."""
        self._is_due = self._searches < _MOST_SEARCHES

    def _search(self) -> bool:
        wrapper = torch.nn.parallel.DistributedDataParallel
        return any(
            id(parameter) in self._parameters
            for found in gc.get_objects()
            if issubclass(type(found), wrapper)
            for parameter in found.parameters()
        )

    def tell_once(self, what: str) -> None:
        """Warns of it, the first time."""
        if not self._is_told:
            self._is_told = True
            warnings.warn(self.reason + what, stacklevel=2)
