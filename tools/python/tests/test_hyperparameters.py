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
        self.assertFalse(Path(self.folder, "store").exists())

    def test_nonsense_is_refused_by_name_in_one_line_before_anything_is_made(self) -> None:
        things: list[Any] = [None, "0.1", b"1", [1], {}, object, 1j, torch.ones(2)]
        whole: list[Any] = [-1, 1.5, "1", True, torch.ones(2)]
        nonsense: dict[str, list[Any]] = {
            "lr": things,
            "betas": [*things, 0.9, (0.9,), (0.9, None), ("0.9", 0.99), (0.9, 0.99, 0.999)],
            "weight_decay": things,
            "clip_norm": things[1:],
            "maximize": ["x", None, 2, torch.ones(2)],
            "foreach": ["x", 2],
            "fused": ["x", 2],
            "capturable": [True, "x"],
            "differentiable": [True, "x"],
            "full_state_dict": ["x", 2],
            "max_consecutive_skips": [*whole, 0],
            "threads": [*whole, 0],
            "seed": [*whole, None, 1 << 63],
            "store": [None, 3, "", b""],
            "model_files": [3, ""],
            "model": [3, "x"],
            "backend": [None, 3, "abacus"],
            "gradients": [3, "plain", torch.ones(2)],
            "gradient_dtype": ["float32", torch.float16],
            "rounding": [3, "up"],
        }
        for name, values in nonsense.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    arguments = {"store": f"{self.folder}/store", name: value}
                    with self.assertRaisesRegex(lionstore.ArgumentError, name.rstrip("s").replace("lr", "lr|rate")) as raised:
                        Lion(deep().named_parameters(), **arguments)
                    self.assertNotIn("\n", str(raised.exception))
        self.assertFalse(Path(self.folder, "store").exists())

    def test_nonsense_is_refused_where_it_comes_later_too(self) -> None:
        model = seeded(deep)
        optimizer = self.lion(model)
        iterate(model, optimizer, some(1, 3, 6))
        before = optimizer.hash()
        group = optimizer.param_groups[0]
        for name, value in (("lr", None), ("lr", -1), ("betas", 0.9), ("weight_decay", "1"), ("maximize", "x")):
            with self.subTest(name=name, value=value):
                good, group[name] = group[name], value
                with self.assertRaises(lionstore.ArgumentError):
                    iterate(model, optimizer, some(2, 3, 6))
                group[name] = good
                optimizer.zero_grad()
        optimizer.clip_norm = "1"  # type: ignore[assignment]
        with self.assertRaisesRegex(lionstore.ArgumentError, "clip_norm is '1', expected a number"):
            iterate(model, optimizer, some(2, 3, 6))
        optimizer.clip_norm = None
        for keep in (0, 1.5, "1"):
            with self.assertRaisesRegex(lionstore.ArgumentError, "keep is"):
                optimizer.snapshot(f"{self.folder}/snapshots", keep=keep)  # type: ignore[arg-type]
        with self.assertRaisesRegex(lionstore.ArgumentError, "folder is None"):
            optimizer.snapshot(None)  # type: ignore[arg-type]
        self.assertEqual(optimizer.hash(), before)
        iterate(model, optimizer, some(2, 3, 6))

    def with_group(self, values: dict[str, Any]) -> Lion:
        first, *rest = deep().named_parameters()
        return Lion([{"params": [first], **values}, {"params": rest}], f"{self.folder}/store")


if __name__ == "__main__":
    unittest.main()
