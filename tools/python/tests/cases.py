"""What the tests of an optimizer share."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
import warnings
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Sequence

import torch
from torch import nn

from lionstore import Lion, LionstoreError
from reference import PlainLion, batches, differing, loss_of

WAYS = ["step", "plane", "stream"]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]

TINY = 3e-5
"""A rate far below a unit in the last place of a 16-bit weight: without exact masters nothing is learned."""

BY_PLANE = {"stream": 'gradients="plane"'}
"""That "stream" cannot do it, and names the way that can."""

Loop = Callable[[Any, Any], None]
"""What a training program does with a model and its optimizer."""


class StreamTest(unittest.TestCase):
    """Knows what "stream" mode refuses."""

    def stream_refuses(self, said: str) -> Any:
        """A context in which "stream" says this of a pass that it cannot take, or PyTorch says first that
        the pass needs a weight which was stepped meanwhile: which comes first is a matter of speed."""
        said = f"(?s){said}|modified by an inplace operation"
        return self.assertRaisesRegex((LionstoreError, RuntimeError), said)


class LionTest(StreamTest):
    """Has a folder, and trains."""

    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self._names = (f"unnamed{number}" for number in itertools.count())

    def lion(self, module: nn.Module, name: str = "store", **options: Any) -> Lion:
        options = {"lr": 1e-3, **options}
        optimizer = Lion(module.named_parameters(), store=f"{self.folder}/{name}", **options)
        self.addCleanup(optimizer.close)
        return optimizer

    def lion_of(self, model: nn.Module, **options: Any) -> Lion:
        """An optimizer that knows its model, in a new store."""
        return self.lion(model, next(self._names), model=model, **options)

    def train(self, optimizer: Lion, model: nn.Module, count: int = 3, seed: int = 2) -> None:
        for batch in batches(count, seed):
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.step()

    def refuses(self, *said: str, by: type[LionstoreError] = LionstoreError) -> Any:
        """A context in which an error is raised that says all of this."""
        return self.assertRaisesRegex(by, "(?s)" + "".join(f"(?=.*{word})" for word in said))

    def assert_as_plain(
        self,
        loop: Loop,
        make: Callable[[], nn.Module] | None = None,
        *,
        ways: Sequence[str] = WAYS,
        dtypes: Sequence[torch.dtype] = (torch.float32,),
        refused: Mapping[str, str] | None = None,
        exact: bool = True,
        **options: Any,
    ) -> None:
        """Checks that a program leaves what it does with an optimizer of PyTorch's kind: weights,
        masters and momenta.

        :param refused: the ways that cannot do it, and what their typed error says
        :param exact: whether in every bit
        """
        for dtype, way in itertools.product(dtypes, ways):
            with self.subTest(gradients=way, dtype=dtype):
                models = [seeded(make or square).to(dtype) for _ in range(2)]
                plain = PlainLion(models[1].parameters(), **options)
                loop(models[1], plain)
                optimizer = self.lion_of(models[0], gradients=way, **options)
                said = (refused or {}).get(way)
                if said is None:
                    loop(models[0], optimizer)
                    self._compare((models[0], optimizer), (models[1], plain), exact)
                else:
                    refuses = self.stream_refuses if way == "stream" else self.refuses
                    with given_up(), refuses(said):
                        loop(models[0], optimizer)
                with given_up():
                    optimizer.close()

    def _compare(self, found: tuple[Any, Lion], expected: tuple[Any, PlainLion], exact: bool) -> None:
        (model, optimizer), (other, plain) = found, expected
        pairs = [*zip(model.parameters(), other.parameters(), strict=True)]
        content = {
            "weights": [(p.detach(), q.detach()) for p, q in pairs],
            "momenta": [(optimizer.momentum(p), plain.momentum(q).float()) for p, q in pairs],
            "masters": [
                (optimizer.state[p]["master"], plain.master(q)) for p, q in pairs if q.dtype.itemsize == 2
            ],
        }
        for what, tensors in content.items():
            for left, right in tensors:
                if exact:
                    self.assertEqual(differing([left], [right]), 0, f"{what}: {left} {right}")
                else:
                    torch.testing.assert_close(left, right, msg=lambda m: f"{what}: {m}")
        self.assertEqual(optimizer.steps, plain.steps)


def square() -> nn.Linear:
    return nn.Linear(4, 4)


def deep() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return make()


def some(seed: int, *shape: int) -> torch.Tensor:
    """Random numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def backward(model: Any, batch: torch.Tensor) -> None:
    """A forward and a backward pass, in the model's dtype."""
    dtype = next(model.parameters()).dtype
    model(batch.to(dtype) if batch.is_floating_point() else batch).float().sum().backward()


def iterate(model: Any, optimizer: Any, batch: torch.Tensor | None = None) -> None:
    """One iteration as every program has it."""
    optimizer.zero_grad()
    backward(model, torch.ones(2, 4) if batch is None else batch)
    optimizer.step()


def copies(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@torch.no_grad()
def put_back(model: nn.Module, values: Sequence[torch.Tensor]) -> None:
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.copy_(value)


@contextmanager
def given_up() -> Iterator[None]:
    """A context without the warnings that tell of skipped steps and streams that were given up."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a step was given up|step [0-9]+ skipped")
        yield


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
