"""What a run goes on with: scalers, data, ``extra`` and random numbers, wherever it has ended."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import unittest
from collections import Counter, OrderedDict
from typing import Any, Iterator

import numpy
import torch
from torch import nn
from torch.optim import lr_scheduler as lrs

import lionstore
from lionstore import Lion
from cases import LionTest
import test_schedulers as schedulers
from test_schedulers import POINTS, SCHEDULERS, STEPS, Ended, Run, each_epoch, each_epoch_nested, each_step

PLAIN = ["LambdaLR of an object", "ReduceLROnPlateau", "CyclicLR", "SequentialLR"]


class GoingOnTest(schedulers.SchedulersTest):
    """Runs that end in unusual ways, or at unusual places."""

    test_every_scheduler_is_here = test_a_killed_run_goes_on_exactly = None  # type: ignore[assignment]

    def assert_goes_on(self, name: str, habit: Any, *ends: tuple[int, str], **options: Any) -> None:
        make = SCHEDULERS[name][1]
        with self.subTest(scheduler=name, habit=habit.__name__, ends=ends):
            expected = self.run_of([make], habit).result()
            self.assertEqual(self.run_of([make], habit, *ends, **options).result(), expected)

    def test_a_repeated_iteration_may_be_killed_again_and_again(self) -> None:
        again = [(4, point) for point in ["after the step", *POINTS, *POINTS]]
        for name in PLAIN:
            for habit in [each_step, each_epoch]:
                self.assert_goes_on(name, habit, *again)

    def test_the_first_iteration_may_be_killed_again_and_again(self) -> None:
        for name in PLAIN:
            for habit in [each_step, each_epoch]:
                self.assert_goes_on(name, habit, *[(0, point) for point in [*POINTS, *POINTS]])

    def test_a_run_may_be_closed_anywhere(self) -> None:
        for name in PLAIN:
            for point in POINTS:
                ends = [(n, point) for n in range(0, STEPS, 3)]
                # The habit of a scheduler is seen at the second step.
                self.assert_goes_on(name, each_step, *ends[point == "after the step" :], end=schedulers.close)
                self.assert_goes_on(name, each_step, *ends, end=schedulers.close_while_an_exception_passes)
                self.assert_goes_on(name, each_epoch, *ends, end=schedulers.close_while_an_exception_passes)

    def test_a_kill_while_it_resumes_changes_nothing(self) -> None:
        class Falling(lrs.ExponentialLR):
            falls = 0

            def load_state_dict(self, state: dict[str, Any]) -> None:
                super().load_state_dict(state)
                if Falling.falls:
                    Falling.falls -= 1
                    raise Ended

        def make(optimizer: Lion) -> Any:
            return Falling(optimizer, 0.9)

        expected = self.run_of([make], each_step).result()
        Falling.falls = 3
        ends = [(n, "after the step") for n in range(1, STEPS, 3)]
        self.assertEqual(self.run_of([make], each_step, *ends).result(), expected)
        self.assertEqual(Falling.falls, 0)

    def test_a_real_kill_is_what_the_other_tests_take_for_one(self) -> None:
        script = (
            "import sys, test_schedulers as t\n"
            "store, name, habit, number, point = sys.argv[1:]\n"
            "make = t.SCHEDULERS[name][1]\n"
            "t.Run(store, [make], getattr(t, habit), [(int(number), point)], t.kill).result()\n"
        )
        for name, habit, point in [
            ("CyclicLR", each_step, "after the step"),
            ("ReduceLROnPlateau", each_epoch_nested, "before the step"),
        ]:
            with self.subTest(scheduler=name):
                make = SCHEDULERS[name][1]
                run = self.run_of([make], habit)
                command = [sys.executable, "-W", "ignore", "-c", script, run.store, name, habit.__name__, "9", point]
                done = subprocess.run(command, capture_output=True, text=True, timeout=120)
                self.assertEqual(done.returncode, -9, done.stderr)
                whole = self.run_of([make], habit).result()
                found = run.result()
                self.assertEqual([found[0], *found[2:]], [whole[0], *whole[2:]])

    def test_steps_that_a_gradient_scaler_skips_are_not_taken_later(self) -> None:
        def scaled(run: Run, extra: dict[str, Any]) -> None:
            scaler, scheduler = run.tracked
            for number in range(extra.get("next", 0), STEPS):
                run.at(number, "at the top")
                run.optimizer.zero_grad()
                loss = run.model(torch.ones(2, 4) * 2.0 ** (number % 4)).sum()
                scaler.scale(loss).backward()
                run.optimizer.extra["next"] = number + 1
                run.at(number, "before the step")
                scaler.step(run.optimizer)
                run.at(number, "after the step")
                scaler.update()
                scheduler.step()
                run.at(number, "at the end")

        # The larger scale skips the first iterations, too.
        for scale, (point, first) in itertools.product([2.0**127, 2.0**122], itertools.product(POINTS, range(3))):
            def scaler(optimizer: Lion, scale: float = scale) -> Any:
                return torch.amp.grad_scaler.GradScaler("cpu", init_scale=scale, growth_interval=2)

            makes = [scaler, SCHEDULERS["OneCycleLR"][1]]
            with self.subTest(scale=scale, point=point, first=first):
                ends = [(n, point) for n in range(first, STEPS, 3)]
                expected, found = (self.run_of(makes, scaled, *each).result() for each in [[], ends])
                self.assertEqual([found[0], *found[2:]], [expected[0], *expected[2:]])

    def test_data_that_has_a_state_of_its_own_goes_on(self) -> None:
        class Batches:
            """Begins where its state says at the next loop over it, as torchdata's loader does."""

            def __init__(self, _: Lion) -> None:
                self._given, self._begin = 0, 0

            def state_dict(self) -> dict[str, Any]:
                return {"given": self._given, "seen": numpy.arange(self._given)}

            def load_state_dict(self, state: dict[str, Any]) -> None:
                self._given = self._begin = state["given"]

            def __iter__(self) -> Iterator[int]:
                begin, self._begin = self._begin, 0
                for number in range(begin, 5):
                    self._given = number + 1
                    yield number

        def loop(run: Run, extra: dict[str, Any]) -> None:
            batches = run.tracked[0]
            for epoch in range(extra.get("epoch", 0), 3):
                for batch in batches:
                    number = epoch * 5 + batch
                    run.at(number, "at the top")
                    torch.manual_seed(number)
                    run.step(number, epoch=epoch, batch=batch)
                    run.at(number, "at the end")
                    self.seen[-1] += [number]

        expected = None
        for point in [None, *POINTS]:
            for first in range(3):
                self.seen: list[list[int]] = [[]]
                ends = [] if point is None else [(n, point) for n in range(first, STEPS, 3)]

                def end(run: Run) -> None:
                    run.optimizer.store.close()
                    self.seen.append([])

                found = self.run_of([Batches], loop, *ends, end=end).result()
                found[2][0]["seen"] = found[2][0]["seen"].tolist()
                expected = expected or found
                with self.subTest(point=point, first=first):
                    self.assertEqual(found, expected)

    def test_batch_statistics_of_a_repeated_iteration_count_once(self) -> None:
        def run(name: str, *, is_killed: bool) -> str:
            for last in [3, 6] if is_killed else [6]:
                torch.manual_seed(1)
                model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
                optimizer = Lion(model.named_parameters(), f"{self.folder}/{name}", model=model)
                start = optimizer.resume().get("next", 0)
                for number in range(start, last):
                    optimizer.zero_grad()
                    model(torch.randn(3, 4)).square().sum().backward()
                    if number == 2:
                        optimizer.hash()
                        optimizer.state_dict()
                    optimizer.extra["next"] = number + 1
                    optimizer.step()
                if is_killed and last == 3:
                    optimizer.store.close()
                    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
                    optimizer = Lion(model.named_parameters(), f"{self.folder}/{name}", model=model)
                    optimizer.resume()
                    model(torch.randn(3, 4))
                    optimizer.hash()
                    optimizer.store.close()
            statistics = str([b.tolist() for b in model.buffers()])
            result = optimizer.hash() + statistics
            optimizer.close()
            return result

        self.assertEqual(run("killed", is_killed=True), run("whole", is_killed=False))


class ExtraTest(LionTest):
    """What ``extra`` may hold, and who sees it."""

    def opened(self, *tracked: Any) -> Lion:
        self.model = nn.Linear(4, 4)
        optimizer = self.lion(self.model)
        optimizer.resume(*tracked)
        return optimizer

    def step(self, optimizer: Lion) -> None:
        optimizer.zero_grad()
        self.model(torch.ones(1, 4)).sum().backward()
        optimizer.step()

    def test_types_are_kept(self) -> None:
        values: dict[Any, Any] = {
            1: "one", "int": 1 << 70, "bool": True, "none": None, "float": float("inf"), "complex": 1j,
            "tuple": (1, (2, [3])), "set": {1, 2}, "bytes": b"\0\xff", (1, 2): {"deep": {3: [None, {}]}},
            "dtype": torch.bfloat16, "tensor": torch.arange(3), "scalar": torch.tensor(2.5, dtype=torch.float64),
            "array": numpy.arange(6, dtype=numpy.int16).reshape(2, 3), "float32": numpy.float32(0.1),
            "int64": numpy.int64(7), "flag": numpy.bool_(True), "no bytes": b"", "bytearray": bytearray(b"x"),
            "no array": numpy.zeros((0, 3)), "no set": set(), "no bytearray": bytearray(), "size": torch.Size([1]),
            "device": torch.device("cpu"), "nothing": {}, "ordered": OrderedDict(a=1), "counted": Counter("aab"),
        }  # fmt: skip
        for end in ["close", "kill"]:
            optimizer = self.opened()
            for _ in range(2):
                optimizer.extra.update(values)
                self.step(optimizer)
            optimizer.close() if end == "close" else optimizer.store.close()
            optimizer = self.opened()
            found = optimizer.extra
            self.assertEqual(found.keys(), values.keys())
            for key, value in values.items():
                with self.subTest(key=key, end=end):
                    self.assertIs(type(found[key]), type(value))
                    self.assertEqual(repr(found[key]), repr(value))
            optimizer.store.close()

    def test_what_cannot_be_published_is_refused_before_anything_has_changed(self) -> None:
        optimizer = self.opened()
        self.step(optimizer)
        before = optimizer.hash()
        for place, value in [
            (r"extra.*\['bad'\]\['x'\]\[1\]", [0, object()]),
            (r"extra.*\['bad'\]\['x'\]", torch.zeros(2).to_sparse()),
            (r"extra.*\['bad'\]\['x'\]", numpy.array(["text"])),
            (r"extra.*\['bad'\]\['x'\]", random.Random(1)),
            (r"extra.*\['bad'\]\['x'\]", lambda: 1),
        ]:
            optimizer.extra["bad"] = {"x": value}
            with self.assertRaisesRegex(lionstore.ArgumentError, place):
                self.step(optimizer)
            self.assertEqual((optimizer.steps, optimizer.hash()), (1, before))
        del optimizer.extra["bad"]
        self.step(optimizer)
        self.assertEqual(optimizer.steps, 2)

    def test_a_state_that_cannot_be_published_is_refused(self) -> None:
        class Odd:
            def state_dict(self) -> dict[str, Any]:
                return {"fine": 1, "odd": [random.Random(1)]}

        with self.assertRaisesRegex(lionstore.ArgumentError, r"\['odd'\]\[0\]"):
            optimizer = self.opened(Odd())
            self.step(optimizer)

    def test_whoever_holds_a_list_in_extra_goes_on_with_it(self) -> None:
        for last in [3, 6, 9]:
            optimizer = self.opened()
            losses = optimizer.extra.setdefault("losses", [])
            for number in range(optimizer.extra.get("next", 0), last):
                losses.append(number * 0.5)
                optimizer.extra["next"] = number + 1
                self.step(optimizer)
            optimizer.store.close()
        optimizer = self.opened()
        self.assertEqual(optimizer.extra["losses"], [number * 0.5 for number in range(8)])

    def test_random_numbers_go_on(self) -> None:
        def draw() -> Any:
            return torch.rand(1).item(), random.gauss(0, 1), float(numpy.random.rand()), torch.randperm(5).tolist()

        def run(last: int) -> list[Any]:
            torch.manual_seed(3)
            random.seed(3)
            numpy.random.seed(3)
            optimizer = self.opened()
            for number in range(optimizer.extra.get("next", 0), last):
                drawn = draw()
                optimizer.extra["next"] = number + 1
                self.step(optimizer)
                after = draw()
                # What a repeated iteration draws before the step is of no consequence.
                self.drawn[number] = self.drawn.get(number, [drawn])[0], after
            optimizer.store.close()
            return [self.drawn[number] for number in range(last)]

        self.drawn: dict[int, Any] = {}
        whole = run(9)
        self.folder += "-other"
        self.drawn = {}
        for last in [1, 4, 5, 9]:
            found = run(last)
        self.assertEqual(found, whole)

    def test_a_loop_that_begins_elsewhere_is_told_and_trains(self) -> None:
        optimizer = self.opened()
        for number in range(3):
            optimizer.extra["next"] = number + 1
            self.step(optimizer)
        optimizer.store.close()
        optimizer = self.opened()
        optimizer.extra["next"] = 17
        with self.assertWarnsRegex(UserWarning, "is not the last one of the killed run"):
            self.step(optimizer)
        self.assertEqual(optimizer.steps, 4)

    def test_a_scheduler_whose_habit_is_not_known_is_told_without_extra(self) -> None:
        optimizer = self.opened()
        schedulers = [lrs.StepLR(optimizer, 1)]
        optimizer.resume(*schedulers)
        for number in range(5):
            self.step(optimizer)
            if number % 2:
                schedulers[0].step()
        optimizer.store.close()
        optimizer = self.lion(nn.Linear(4, 4))
        with self.assertWarnsRegex(UserWarning, "StepLR was stepped .* is not known"):
            optimizer.resume(lrs.StepLR(optimizer, 1))


if __name__ == "__main__":
    unittest.main()
