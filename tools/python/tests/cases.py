"""What the tests of an optimizer share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from typing import Any

import torch
from torch import nn

from lionstore import Lion
from reference import batches, loss_of

WAYS = ["step", "plane", "stream"]


class LionTest(unittest.TestCase):
    """Has a folder, and trains."""

    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def lion(self, model: nn.Module, name: str = "store", **options: Any) -> Lion:
        options = {"lr": 1e-3, **options}
        optimizer = Lion(model.named_parameters(), store=f"{self.folder}/{name}", **options)
        self.addCleanup(optimizer.close)
        return optimizer

    def train(self, optimizer: Lion, model: nn.Module, count: int = 3, seed: int = 2) -> None:
        for batch in batches(count, seed):
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.step()


def command(script: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(script)]


def run(script: str, **environment: str) -> str:
    """What a script prints in a process of its own, which must end well."""
    done = subprocess.run(
        command(script), capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
