"""The schedulers of transformers and of Accelerate, killed; not found by discovery, for Debian trixie has neither.

    LIONSTORE_DEBIAN=sid tools/python/bin/test transformers_schedulers_suite
"""

from __future__ import annotations

import itertools
import unittest
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import nn
from transformers import SchedulerType, get_scheduler
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

import test_schedulers as schedulers
from lionstore import Lion
from test_schedulers import POINTS, STEPS, each_epoch, each_step

SPECIFIC: dict[str, dict[str, Any]] = {
    "cosine_with_restarts": {"num_cycles": 2},
    "cosine_with_min_lr": {"min_lr": 1e-5},
    "cosine_warmup_with_min_lr": {"min_lr": 1e-5, "warmup_lr_rate": 0.1},
    "polynomial": {"power": 2.0},
    "warmup_stable_decay": {"num_decay_steps": 4, "min_lr_ratio": 0.1},
    "reduce_lr_on_plateau": {"patience": 1, "threshold": 0.05},
}


def made(kind: SchedulerType, optimizer: Lion) -> Any:
    return get_scheduler(kind, optimizer, 3, STEPS, SPECIFIC.get(kind.value))


class TransformersSchedulersTest(schedulers.SchedulersTest):
    test_every_scheduler_is_here = test_a_killed_run_goes_on_exactly = None  # type: ignore[assignment]

    def test_a_killed_run_goes_on_exactly_with_each_of_them(self) -> None:
        self.assertEqual({*SchedulerType}, {*TYPE_TO_SCHEDULER_FUNCTION})
        for kind, habit in itertools.product(SchedulerType, [each_step, each_epoch]):
            def make(optimizer: Lion, kind: SchedulerType = kind) -> Any:
                return made(kind, optimizer)

            expected = self.run_of([make], habit).result()
            for point, first in itertools.product(POINTS, range(3)):
                ends = [(n, point) for n in range(first, STEPS, 3)]
                with self.subTest(scheduler=kind.value, habit=habit.__name__, ends=ends):
                    self.assertEqual(self.run_of([make], habit, *ends).result(), expected)

    def test_what_accelerate_has_prepared_goes_on_exactly(self) -> None:
        for accumulated, kind in itertools.product([1, 2], ["cosine", "linear"]):
            self.accumulated, self.kind = accumulated, SchedulerType(kind)
            expected = self.prepared_run([])
            for point, first in itertools.product(["after the step", "at the end"], range(3)):
                with self.subTest(accumulated=accumulated, kind=kind, point=point, first=first):
                    ends = [(n, point) for n in range(first, STEPS, 3)]
                    self.assertEqual(self.prepared_run(ends), expected)

    def prepared_run(self, ends: list[tuple[int, str]]) -> Any:
        store = f"{self.folder}/{next(self.count)}"
        rates: dict[int, float] = {}
        while True:
            torch.manual_seed(4)
            accelerator = Accelerator(cpu=True, gradient_accumulation_steps=self.accumulated)
            plain = nn.Linear(4, 4)
            lion = Lion(plain.named_parameters(), store, lr=1e-3)
            model, optimizer, scheduler = accelerator.prepare(plain, lion, made(self.kind, lion))
            start = lion.resume(scheduler).get("next", 0)
            if self.go_on(accelerator, model, optimizer, scheduler, lion, range(start, 2 * STEPS), ends, rates):
                result = [lion.hash(), rates, scheduler.state_dict()]
                lion.close()
                return schedulers._plain(result)
            lion.store.close()

    def go_on(
        self, accelerator: Any, model: Any, optimizer: Any, scheduler: Any, lion: Lion, numbers: range, ends: Any,
        rates: dict[int, float],
    ) -> bool:
        for number in numbers:
            with accelerator.accumulate(model):
                accelerator.backward(model(torch.full((1, 4), 1.0 + number)).square().sum())
                lion.extra["next"] = number + 1
                optimizer.step()
                rates[number] = lion.param_groups[0]["lr"]
                if ends and ends[0] == (number, "after the step"):
                    ends.pop(0)
                    return False
                scheduler.step()
                optimizer.zero_grad()
            if ends and ends[0] == (number, "at the end"):
                ends.pop(0)
                return False
        return True


if __name__ == "__main__":
    unittest.main()
