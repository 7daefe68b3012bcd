"""Checks that there is a PyTorch to work with, before anything else imports it."""

from __future__ import annotations

import re
import sys

_OLDEST = (2, 1)
_WANTED = "lionstore trains with PyTorch 2.1 or newer"


def require() -> None:
    """Imports torch.

    :raises ImportError: if it is missing, broken, too old, or something else of that name
    """
    try:
        import torch
    except (ImportError, OSError) as failure:
        raise ImportError(
            f"{_WANTED}, which {sys.executable} cannot import ({failure}): install it for this"
            " Python, for instance with pip install torch"
        ) from failure
    version = str(getattr(torch, "__version__", "none"))
    place = getattr(torch, "__file__", None)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or not hasattr(torch, "Tensor"):
        raise ImportError(
            f"{_WANTED}, and the module torch that is imported from {place} is not PyTorch (its"
            f" version is {version}): rename it or take it off sys.path"
        )
    if (int(numbers[1]), int(numbers[2])) < _OLDEST:
        raise ImportError(
            f"{_WANTED}, and {place} is {version}: upgrade it, for instance with"
            " pip install --upgrade torch"
        )


require()
