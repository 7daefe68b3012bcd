"""Weights that are elsewhere: whether they were changed is asked of their device."""

from __future__ import annotations

import unittest
import unittest.mock
from typing import Any

import torch

import lionstore
from lionstore import Lion
from lionstore._memory import on_host
from cases import DTYPES, TINY, LionTest, copies, deep, iterate, put_back, seeded, some, square


class DeviceTest(LionTest):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(unittest.mock.patch("lionstore._binding.is_on_host", lambda tensor: False))
        self.brought: list[str] = []
        self.enterContext(unittest.mock.patch("lionstore._binding.on_host", self.bring))

    def bring(self, tensor: torch.Tensor, name: str, *rest: Any) -> torch.Tensor:
        self.brought.append(name)
        return on_host(tensor, name, *rest)

    def test_elements_that_are_changed_and_rows_that_are_exchanged_are_taken_over(self) -> None:
        def change(model: Any, optimizer: Any) -> None:
            for number in range(6):
                iterate(model, optimizer)
                if number == 1:
                    model.weight.data[2, 1:3] = 0.5
                if number == 3:
                    model.weight.data[[0, 1]] = model.weight.data[[1, 0]]
            if isinstance(optimizer, Lion):
                self.assertEqual(self.brought, ["parameter weight"] * 2, "nobody changed the bias")
            self.brought.clear()

        self.assert_as_plain(change, dtypes=DTYPES, lr=TINY)

    def test_weights_stay_where_they_are_while_nobody_changes_them(self) -> None:
        for dtype in DTYPES:
            model = seeded(deep).to(dtype)
            optimizer = self.lion_of(model, gradients="plane")
            for number in range(3):
                iterate(model, optimizer, some(number, 2, 6))
            optimizer.hash()
        self.assertEqual(self.brought, [])

    def test_an_average_that_is_looked_at_leaves_no_trace(self) -> None:
        def validate(model: Any, optimizer: Any) -> None:
            for _ in range(3):
                iterate(model, optimizer)
                raw = copies(model)
                put_back(model, [value / 2 for value in raw])
                if isinstance(optimizer, Lion):
                    optimizer.hash()
                put_back(model, raw)

        self.assert_as_plain(validate, dtypes=DTYPES[1:], lr=TINY)

    def test_a_model_that_is_converted_there_keeps_its_masters(self) -> None:
        model = seeded(square).bfloat16()
        optimizer = self.lion_of(model, lr=TINY)
        for _ in range(3):
            iterate(model, optimizer)
        expected = optimizer.hash()
        model.float()
        self.assertEqual(optimizer.hash(), expected)

    def test_a_value_that_is_not_finite_is_named(self) -> None:
        model = square()
        optimizer = self.lion_of(model)
        model.weight.data[1, 2] = float("nan")
        with self.refuses("weight", "element 6|1, 2", by=lionstore.ArgumentError):
            optimizer.hash()
        model.weight.data[1, 2] = 0


if __name__ == "__main__":
    unittest.main()
