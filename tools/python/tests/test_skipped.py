"""Skipped steps change nothing, can be seen by what calls, and end in an error when they do not end."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import torch
from torch.amp import GradScaler  # type: ignore[attr-defined]
from torch.optim.lr_scheduler import ExponentialLR

import lionstore
from lionstore import Lion
from cases import WAYS, LionTest, copies, deep, given_up, iterate, seeded, some
from reference import differing

NAN, INFINITY = float("nan"), float("inf")


class SkippedTest(LionTest):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(given_up())

    def iterate(self, model: Any, optimizer: Any, value: float = 1.0) -> None:
        optimizer.zero_grad()
        (model(some(optimizer.steps, 2, 6)).sum() * value).backward()
        optimizer.step()

    def test_a_scheduler_asks_whether_the_step_was_skipped(self) -> None:
        # transformers#11106
        def ask(model: Any, optimizer: Any) -> None:
            self.assertIs(optimizer.step_was_skipped, False)
            scheduler = ExponentialLR(optimizer, 0.5)
            for number in range(6):
                iterate(model, optimizer, some(number, 2, 6) * (INFINITY if number in (0, 3) else 1))
                self.assertEqual(optimizer.step_was_skipped, number in (0, 3))
                if not optimizer.step_was_skipped:
                    scheduler.step()
            if isinstance(optimizer, Lion):
                self.assertEqual(optimizer.skipped_steps, 2)

        self.assert_as_plain(ask, deep, ways=["step", "plane"], lr=0.1)

    def test_a_stream_says_so_of_a_step_that_left_tensors_out(self) -> None:
        model = seeded(deep)
        optimizer = self.lion_of(model, gradients="stream")
        self.assertFalse(optimizer.step_was_skipped)
        self.iterate(model, optimizer, NAN)
        self.assertTrue(optimizer.step_was_skipped)
        self.iterate(model, optimizer)
        self.assertFalse(optimizer.step_was_skipped)
        self.assertEqual(optimizer.skipped_steps, 1)

    def test_so_many_in_a_row_are_an_error_and_a_good_step_begins_anew(self) -> None:
        # fairseq#1529
        for way in WAYS:
            with self.subTest(gradients=way):
                model = seeded(deep)
                optimizer = self.lion_of(model, gradients=way, max_consecutive_skips=3)
                for value in (1.0, NAN, INFINITY, NAN, 1.0, NAN, -INFINITY, NAN):
                    self.iterate(model, optimizer, value)
                before = copies(model)
                for _ in range(2):
                    with self.refuses("[45] steps in a row", "max_consecutive_skips is 3", "gradient of"):
                        self.iterate(model, optimizer, NAN)
                self.assertEqual(differing(before, model.parameters()), 0)
                self.assertEqual(optimizer.skipped_steps, 8)
                self.iterate(model, optimizer)
                self.iterate(model, optimizer, NAN)

    def test_the_number_is_checked(self) -> None:
        for number in (0, -1):
            with self.refuses("max_consecutive_skips", "at least 1", by=lionstore.ArgumentError):
                self.lion(deep(), max_consecutive_skips=number)
        self.assertFalse(Path(self.folder, "store").exists())

    def test_a_skipped_step_changes_nothing_at_all(self) -> None:
        # habitat-lab#2226
        for way in ("step", "plane"):
            for value in (NAN, INFINITY, -INFINITY):
                for clip_norm in (None, 1.0):
                    with self.subTest(gradients=way, value=value, clip_norm=clip_norm):
                        self.require_nothing_changed(way, value, clip_norm)

    def require_nothing_changed(self, way: str, value: float, clip_norm: float | None) -> None:
        model = seeded(deep)
        optimizer = self.lion_of(model, gradients=way, weight_decay=0.5, clip_norm=clip_norm)
        optimizer.extra["kept"] = 7
        self.iterate(model, optimizer)
        before, expected = copies(model), optimizer.hash()
        position = optimizer.store.position
        optimizer.extra["kept"] = 8
        self.iterate(model, optimizer, value)
        self.assertEqual((optimizer.hash(), optimizer.steps), (expected, 1))
        self.assertTrue(optimizer.store.position == position, "what is published")
        self.assertEqual(differing(before, model.parameters()), 0)
        self.iterate(model, optimizer)
        self.assertEqual((optimizer.steps, optimizer.skipped_steps), (2, 1))

    def test_a_stream_skips_nothing_but_its_tensor(self) -> None:
        model = seeded(deep)
        optimizer = self.lion_of(model, gradients="stream", weight_decay=0.5)
        before = copies(model)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        model[2].weight.grad = torch.full((4, 8), INFINITY)
        optimizer.step()
        moved = [differing([old], [new]) > 0 for old, new in zip(before, model.parameters())]
        self.assertEqual(moved, [True, True, False, True])

    def test_without_a_backward_pass_nothing_is_stepped(self) -> None:
        # Lightning#7544
        def return_none(model: Any, optimizer: Any) -> None:
            for number in range(6):
                if number % 2 == 0:
                    iterate(model, optimizer, some(number, 2, 6))
                else:
                    optimizer.zero_grad()
                    optimizer.step()

        self.assert_as_plain(return_none, deep, lr=0.01, weight_decay=0.5)

    def test_a_step_that_a_scaler_leaves_out_is_the_scalers(self) -> None:
        model = seeded(deep)
        optimizer = self.lion_of(model)
        scaler = GradScaler("cpu", init_scale=4.0)
        for value in (1.0, INFINITY):
            optimizer.zero_grad()
            scaler.scale(model(some(1, 2, 6) * value).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        self.assertEqual((optimizer.steps, optimizer.skipped_steps, scaler.get_scale()), (1, 0, 2.0))


if __name__ == "__main__":
    unittest.main()
