"""Every scheduler of PyTorch, killed wherever a kill can fall: it goes on as if nothing had happened.

LIONSTORE_SCHEDULERS=all tries every combination; else each scheduler is tried with every other habit and some kills,
chosen by a seed that is printed.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import os
import random
import signal
import sys
import unittest
import warnings
from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

import torch
from torch import nn
from torch.optim import lr_scheduler as lrs
from torch.optim.swa_utils import SWALR

from lionstore import Lion
from cases import LionTest

EPOCH, STEPS = 5, 15
POINTS = ["at the top", "before the step", "after the step", "at the end"]
Make = Callable[[Lion], Any]


class Decay:
    """A callable object that knows how often it was called: LambdaLR keeps what it has."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, number: int) -> float:
        self.calls += 1
        return float(0.9**number + self.calls * 1e-3)


def _halving(number: float) -> float:
    return float(0.5**number)


SCHEDULERS: dict[str, tuple[type, Make]] = {
    "LambdaLR": (lrs.LambdaLR, lambda o: lrs.LambdaLR(o, lambda n: 0.9**n)),
    "LambdaLR of an object": (lrs.LambdaLR, lambda o: lrs.LambdaLR(o, Decay())),
    "MultiplicativeLR": (lrs.MultiplicativeLR, lambda o: lrs.MultiplicativeLR(o, lambda n: 1 - n / 99)),
    "StepLR": (lrs.StepLR, lambda o: lrs.StepLR(o, 2)),
    "MultiStepLR": (lrs.MultiStepLR, lambda o: lrs.MultiStepLR(o, [1, 4, 4, 9])),
    "ConstantLR": (lrs.ConstantLR, lambda o: lrs.ConstantLR(o, 0.5, 2)),
    "LinearLR": (lrs.LinearLR, lambda o: lrs.LinearLR(o, 0.1, total_iters=7)),
    "ExponentialLR": (lrs.ExponentialLR, lambda o: lrs.ExponentialLR(o, 0.9)),
    "PolynomialLR": (lrs.PolynomialLR, lambda o: lrs.PolynomialLR(o, 12, 2.0)),
    "CosineAnnealingLR": (lrs.CosineAnnealingLR, lambda o: lrs.CosineAnnealingLR(o, 6, 1e-5)),
    "CosineAnnealingWarmRestarts": (
        lrs.CosineAnnealingWarmRestarts,
        lambda o: lrs.CosineAnnealingWarmRestarts(o, 2, 2),
    ),
    "ChainedScheduler": (
        lrs.ChainedScheduler,
        lambda o: lrs.ChainedScheduler([lrs.LinearLR(o, 0.1, total_iters=4), lrs.ExponentialLR(o, 0.9)]),
    ),
    "SequentialLR": (
        lrs.SequentialLR,
        lambda o: lrs.SequentialLR(o, [lrs.LinearLR(o, 0.1, total_iters=2), lrs.StepLR(o, 3)], [2]),
    ),
    "ReduceLROnPlateau": (
        lrs.ReduceLROnPlateau,
        lambda o: lrs.ReduceLROnPlateau(o, patience=1, threshold=0.05, cooldown=1),
    ),
    "CyclicLR": (
        lrs.CyclicLR,
        lambda o: lrs.CyclicLR(o, 1e-4, 1e-3, 2, mode="exp_range", gamma=0.95, base_momentum=0.8),
    ),
    "CyclicLR of a function": (lrs.CyclicLR, lambda o: lrs.CyclicLR(o, 1e-4, 1e-3, 2, scale_fn=_halving)),
    "OneCycleLR": (lrs.OneCycleLR, lambda o: lrs.OneCycleLR(o, 1e-3, STEPS)),
    "SWALR": (SWALR, lambda o: SWALR(o, 1e-4, anneal_epochs=4)),
}


@dataclass
class Run:
    """A run that ends at some points, one after the other, and is started again until it is through."""

    store: str
    makes: Sequence[Make]
    habit: Callable[[Run, dict[str, Any]], None]
    ends: list[tuple[int, str]] = field(default_factory=list)
    end: Callable[[Run], None] = lambda run: run.optimizer.store.close()
    """What ends it: by default nothing more is published, as by a kill."""
    is_grouped: bool = False
    rates: dict[tuple[int, str], list[Any]] = field(default_factory=dict)
    model: nn.Module = field(init=False)
    optimizer: Lion = field(init=False)
    tracked: list[Any] = field(init=False)

    def result(self) -> Any:
        while True:
            try:
                self.go_on()
                break
            except Ended:
                pass
            self.end(self)
        states = [each.state_dict() for each in self.tracked]
        found = [self.optimizer.hash(), self.rates, states, torch.rand(1).item(), random.random()]
        self.optimizer.close()
        return _plain(found)

    def go_on(self) -> None:
        torch.manual_seed(4)
        random.seed(4)
        self.model = nn.Linear(4, 4)
        self.optimizer = Lion(self._groups(), store=self.store, lr=1e-3, weight_decay=0.1)
        self.tracked = [make(self.optimizer) for make in self.makes]
        self.habit(self, self.optimizer.resume(*self.tracked))

    def _groups(self) -> Any:
        names = [*self.model.named_parameters()]
        if not self.is_grouped:
            return names
        return [{"params": names[:1]}, {"params": names[1:], "lr": 5e-4, "weight_decay": 0.0}]

    def at(self, number: int, point: str) -> None:
        groups = self.optimizer.param_groups
        self.rates[number, point] = [(group["lr"], group["betas"]) for group in groups]
        if self.ends and self.ends[0] == (number, point):
            self.ends.pop(0)
            raise Ended

    def step(self, number: int, **extra: Any) -> None:
        self.optimizer.zero_grad()
        batch = torch.randn(2, 4) * random.random()
        self.model(batch).square().sum().backward()
        self.optimizer.extra.update(extra)
        self.at(number, "before the step")
        self.optimizer.step()
        self.at(number, "after the step")

    def schedule(self, *which: int) -> None:
        for index, each in enumerate(self.tracked):
            if which and index not in which:
                continue
            if "metrics" in inspect.signature(each.step).parameters:
                with torch.no_grad():
                    each.step(self.model(torch.ones(1, 4)).square().sum().item())
            else:
                each.step()
        torch.rand(1)


class Ended(BaseException):
    """Ends a run where it is."""


def kill(run: Run) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def close(run: Run) -> None:
    run.optimizer.close()


def close_while_an_exception_passes(run: Run) -> None:
    with contextlib.suppress(ZeroDivisionError):
        try:
            raise ZeroDivisionError
        finally:
            run.optimizer.close()


def _plain(value: Any) -> Any:
    """The same without functions, of which each run has its own."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if not callable(each)}
    return [*map(_plain, value)] if isinstance(value, (list, tuple)) else value


# --- what loops do


def each_step(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.get("next", 0), STEPS):
        run.at(number, "at the top")
        run.step(number, next=number + 1)
        run.schedule()
        run.at(number, "at the end")


def each_epoch(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.get("next", 0), STEPS):
        run.at(number, "at the top")
        run.step(number, next=number + 1)
        if (number + 1) % EPOCH == 0:
            run.schedule()
        run.at(number, "at the end")


def one_each_step_and_one_each_epoch(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.get("next", 0), STEPS):
        run.at(number, "at the top")
        run.step(number, next=number + 1)
        run.schedule(0)
        if (number + 1) % EPOCH == 0:
            run.schedule(1)
        run.at(number, "at the end")


def before_the_optimizer(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.get("next", 0), STEPS):
        run.at(number, "at the top")
        run.schedule()
        run.step(number, next=number + 1)
        run.at(number, "at the end")


def before_each_epoch(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.get("next", 0), STEPS):
        run.at(number, "at the top")
        if number % EPOCH == 0:
            run.schedule()
        run.step(number, next=number + 1)
        run.at(number, "at the end")


def each_epoch_nested(run: Run, extra: dict[str, Any]) -> None:
    first, begun = extra.get("epoch", 0), extra.get("batch", 0)
    for epoch in range(first, STEPS // EPOCH):
        for batch in range(begun if epoch == first else 0, EPOCH):
            run.step(epoch * EPOCH + batch, epoch=epoch, batch=batch + 1)
        run.schedule()


def counted_after_the_step(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.setdefault("next", 0), STEPS):
        run.step(number)
        run.schedule()
        run.optimizer.extra["next"] = number + 1


def counted_by_the_optimizer(run: Run, extra: dict[str, Any]) -> None:
    while run.optimizer.steps < STEPS:
        run.step(run.optimizer.steps)
        for each in run.tracked:
            each.step()


def by_fractions_of_epochs(run: Run, extra: dict[str, Any]) -> None:
    for number in range(extra.get("next", 0), STEPS):
        run.at(number, "at the top")
        run.step(number, next=number + 1)
        for each in run.tracked:
            each.step((number + 1) / EPOCH)
        run.at(number, "at the end")


HABITS = [
    each_step,
    each_epoch,
    one_each_step_and_one_each_epoch,
    before_the_optimizer,
    before_each_epoch,
    each_epoch_nested,
    counted_after_the_step,
    counted_by_the_optimizer,
    by_fractions_of_epochs,
]
INNER_POINTS = ["before the step", "after the step"]
# Iterations that are passed once more show, until the step, the rates of the one that is repeated.
PASS_ONCE_MORE = [each_epoch_nested, counted_after_the_step, counted_by_the_optimizer]


def applies(name: str, habit: Any) -> bool:
    if habit is by_fractions_of_epochs:
        return name == "CosineAnnealingWarmRestarts"
    # Its metric is known to the loop alone, and nothing says which iteration to repeat.
    return habit is not counted_by_the_optimizer or name != "ReduceLROnPlateau"


class SchedulersTest(LionTest):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("error")
        for message in ["Detected call of", "The epoch parameter", "To get the last learning", "Please also save"]:
            warnings.filterwarnings("ignore", message)
        self.count = itertools.count()

    def run_of(self, makes: Sequence[Make], habit: Any, *ends: tuple[int, str], **options: Any) -> Run:
        return Run(f"{self.folder}/{next(self.count)}", makes, habit, [*ends], **options)

    def test_every_scheduler_is_here(self) -> None:
        base = lrs.LRScheduler
        there = {each for each in vars(lrs).values() if isinstance(each, type) and issubclass(each, base)}
        there -= {base, lrs._LRScheduler}
        self.assertEqual({kind for kind, _ in SCHEDULERS.values()}, {*there, SWALR})

    def test_a_killed_run_goes_on_exactly(self) -> None:
        seed = random.randrange(1 << 30)
        dice = random.Random(seed)
        takes_all = os.environ.get("LIONSTORE_SCHEDULERS") == "all"
        compared = 0
        skipped = dice.randrange(2)
        pairs = itertools.product(enumerate(SCHEDULERS.items()), enumerate(HABITS))
        for (row, (name, (_, make))), (column, habit) in pairs:
            if not applies(name, habit) or (not takes_all and (row + column) % 2 == skipped):
                continue
            is_double = habit is one_each_step_and_one_each_epoch
            makes = [make, SCHEDULERS["ExponentialLR"][1]] if is_double else [make]
            grouped = [False, True] if takes_all else [dice.random() < 0.5]
            points = INNER_POINTS if habit in PASS_ONCE_MORE else POINTS
            ends = [[(n, point) for n in range(first, STEPS, 3)] for point in points for first in range(3)]
            for is_grouped in grouped:
                expected = self.run_of(makes, habit, is_grouped=is_grouped).result()
                for each in ends if takes_all else dice.sample(ends, 1):
                    with self.subTest(scheduler=name, habit=habit.__name__, ends=each, grouped=is_grouped):
                        found = self.run_of(makes, habit, *each, is_grouped=is_grouped).result()
                        self.assertEqual(_comparable(found, habit), _comparable(expected, habit))
                        compared += 1
        print(f"{compared} killed runs equal, seed {seed}", file=sys.stderr)


def _comparable(result: Any, habit: Any) -> Any:
    if habit not in PASS_ONCE_MORE:
        return result
    is_counted_after = habit is counted_after_the_step
    of_steps = [place for place in result[1] if place[1] == "after the step" and not is_counted_after]
    return [result[0], {place: result[1][place] for place in of_steps}, *result[2:]]


if __name__ == "__main__":
    unittest.main()
