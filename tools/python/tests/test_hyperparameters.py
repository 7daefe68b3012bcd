"""Learning rates, betas and decays: of every numeric type, and refused where they are out of bounds."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import numpy
import torch
from torch.optim.lr_scheduler import LambdaLR

import lionstore
from lionstore import Lion
from cases import WAYS, LionTest, deep, iterate, seeded, some


class HyperparametersTest(LionTest):
    def test_learning_rates_of_every_type_are_one(self) -> None:
        # TAO#90, pytorch#130467
        exact = 2.0**-7
        kinds: list[Any] = [
            exact,
            numpy.float64(exact),
            numpy.float32(exact),
            numpy.array(exact),
            torch.tensor(exact),
            torch.tensor([exact], dtype=torch.float64),
        ]
        found = set()
        for way in WAYS:
            for rate in kinds:
                model = seeded(deep)
                optimizer = self.lion_of(model, lr=rate, gradients=way, betas=(numpy.float64(0.5), 0.75))
                optimizer.resume()
                iterate(model, optimizer, some(1, 3, 6))
                optimizer.param_groups[0]["lr"] = rate * 2
                iterate(model, optimizer, some(2, 3, 6))
                found.add(optimizer.hash())
        self.assertEqual(len(found), 1)

    def test_a_schedule_of_numpys_numbers_is_published_and_resumed(self) -> None:
        rates = []
        for number in range(2):
            model = seeded(deep)
            optimizer = self.lion(model, lr=numpy.float64(0.5))
            scheduler = LambdaLR(optimizer, lambda step: numpy.float64(0.5) ** step)
            optimizer.resume(scheduler)
            iterate(model, optimizer, some(number, 3, 6))
            scheduler.step()
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.close()
        self.assertEqual(rates, [0.25, 0.125])

    def test_bad_values_are_refused_in_the_constructor_and_in_groups(self) -> None:
        nan, infinity = float("nan"), float("inf")
        bad: list[dict[str, Any]] = [
            *({"lr": value} for value in (-1.0, nan, infinity, numpy.float32(-1), torch.tensor(-1.0), torch.ones(2))),
            *({"betas": value} for value in ((1.0, 0.9), (0.9, -0.1), (0.9, 1.0), (nan, 0.9), (0.9,))),
            *({"weight_decay": value} for value in (-0.1, nan, infinity)),
        ]
        for values in bad:
            with self.subTest(values=values):
                for form in (lambda: self.lion(deep(), **values), lambda: self.with_group(values)):
                    with self.assertRaises(lionstore.ArgumentError):
                        form()
        for values in ({"clip_norm": -1.0}, {"clip_norm": 0.0}, {"gradients": "plain"}, {"clip_norm": nan}):
            with self.assertRaises(lionstore.ArgumentError):
                self.lion(deep(), **values)
        for other in ({"lr": "0.1"}, {"lr": None}, {"betas": 0.9}):
            with self.assertRaises((TypeError, ValueError)):
                self.lion(deep(), **other)
        self.assertFalse(Path(self.folder, "store").exists())

    def with_group(self, values: dict[str, Any]) -> Lion:
        first, *rest = deep().named_parameters()
        return Lion([{"params": [first], **values}, {"params": rest}], f"{self.folder}/store")


if __name__ == "__main__":
    unittest.main()
