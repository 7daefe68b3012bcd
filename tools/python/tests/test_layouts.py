"""What an optimizer is made with, and models that change."""

from __future__ import annotations

import itertools
import os
import unittest

import torch
from torch import nn

import lionstore
from lionstore import Lion
from cases import LionTest, WAYS
from reference import differing, network


class LayoutsTest(LionTest):
    def test_wrong_options_are_refused_before_a_store_is_made(self) -> None:
        model = network(torch.float32)
        for options, text in [
            (dict(rounding="up"), "rounding is 'up'"),
            (dict(gradients="later"), "gradients is 'later'"),
            (dict(gradient_dtype=torch.float64), "gradient_dtype is torch.float64"),
            (dict(gradients="stream", clip_norm=1.0), "stream mode cannot clip"),
        ]:
            with self.assertRaisesRegex(lionstore.ArgumentError, text):
                self.lion(model, **options)
            self.assertEqual(os.listdir(self.folder), [])

    def test_values_out_of_bounds_are_refused_before_anything_is_made(self) -> None:
        for options, text in [
            (dict(lr=-1.0), "Invalid learning rate: -1.0"),
            (dict(betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
            (dict(betas=(0.9, -0.1)), "Invalid beta parameter at index 1: -0.1"),
            (dict(weight_decay=-1.0), "Invalid weight_decay value: -1.0"),
            (dict(clip_norm=0.0), "clip_norm is 0.0"),
            (dict(capturable=True), "capturable is True"),
        ]:
            with self.assertRaisesRegex(lionstore.ArgumentError, text):
                self.lion(network(torch.float32), text, **options)
            self.assertFalse(os.path.exists(f"{self.folder}/{text}"))

    def test_values_that_leave_their_bounds_are_refused_by_the_step(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        for values, text in [
            (dict(lr=-1.0), "Invalid learning rate: -1.0"),
            (dict(lr=0.5, weight_decay=2.0), "is 1.0, expected < 1"),
        ]:
            optimizer.param_groups[0].update(values)
            with self.assertRaisesRegex(lionstore.ArgumentError, text):
                self.train(optimizer, model, 1)
            self.assertEqual(optimizer.steps, 0)

    def test_parameters_that_share_memory_are_refused(self) -> None:
        one = nn.Parameter(torch.ones(3))
        with self.assertRaisesRegex(lionstore.ArgumentError, "b and a share memory"):
            Lion([("a", one), ("b", nn.Parameter(one.data))], store=f"{self.folder}/s")

    def test_names_come_from_the_model(self) -> None:
        model = network(torch.float32)
        Lion(model.parameters(), store=f"{self.folder}/s", model=model).close()
        self.lion(model, "s")

    def test_every_backend_gives_the_same_bits(self) -> None:
        hashes = set()
        for backend, threads in [("auto", None), ("scalar", 1), ("vector", 2)]:
            model = network(torch.bfloat16)
            optimizer = self.lion(model, backend, backend=backend, threads=threads)
            self.train(optimizer, model, 5)
            hashes.add(optimizer.hash())
        self.assertEqual(len(hashes), 1)

    def test_stochastic_rounding_is_the_stores_own(self) -> None:
        hashes = {}
        for rounding, seed in [("nearest", 1), ("stochastic", 1), ("stochastic", 2)]:
            model = network(torch.bfloat16)
            optimizer = self.lion(model, f"{rounding}{seed}", rounding=rounding, seed=seed)
            self.train(optimizer, model, 5)
            hashes[optimizer.hash()] = rounding
        self.assertEqual(len(hashes), 3)

    def test_a_group_added_while_training_goes_on(self) -> None:
        for dtype, way in itertools.product([torch.float32, torch.bfloat16], WAYS):
            with self.subTest(dtype=dtype, gradients=way):
                model = network(dtype)
                named = dict(model.named_parameters())
                late = {n: named.pop(n) for n in ["wide.weight", "wide.bias"]}
                optimizer = Lion(
                    named.items(), f"{self.folder}/{dtype}-{way}", lr=1e-3, gradients=way
                )
                self.addCleanup(optimizer.close)
                self.train(optimizer, model)
                momentum = optimizer.momentum(model.narrow.weight)
                weights = [p.detach().clone() for p in model.parameters()]
                late_before = model.wide.weight.detach().clone()
                optimizer.zero_grad()
                model.zero_grad()
                optimizer.add_param_group({"params": late.items(), "lr": 2e-3})
                self.assertEqual(optimizer.steps, 3)
                self.assertEqual(differing(weights, model.parameters()), 0)
                self.assertEqual(
                    differing([momentum], [optimizer.momentum(model.narrow.weight)]), 0
                )
                self.train(optimizer, model)
                self.assertEqual(optimizer.steps, 6)
                self.assertFalse(torch.equal(late_before, model.wide.weight))
                stores = [name for name in os.listdir(self.folder) if name.endswith("ssor")]
                self.assertEqual(stores, [])

    def test_a_parameter_that_was_frozen_can_be_trained(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        self.train(optimizer, model)
        model.frozen.requires_grad_(True)
        with self.assertRaisesRegex(lionstore.StateError, r"frozen was frozen.*update_layout\(\)"):
            self.train(optimizer, model)
        optimizer.update_layout()
        before = model.frozen.detach().clone()
        self.train(optimizer, model)
        self.assertEqual(optimizer.steps, 6)
        self.assertNotEqual(differing([before], [model.frozen]), 0)

    def test_a_succession_that_was_killed_is_completed(self) -> None:
        optimizer = self.lion(network(torch.float32))
        optimizer.close()
        os.rename(f"{self.folder}/store", f"{self.folder}/store.predecessor")
        successor = Lion(
            network(torch.float32).named_parameters(), f"{self.folder}/store.successor", lr=1e-3
        )
        successor.close()
        self.assertEqual(self.lion(network(torch.float32)).steps, 0)
        self.assertEqual(os.listdir(self.folder), ["store"])

    def test_a_view_of_weights_outlives_the_store_as_it_was(self) -> None:
        model = network(torch.bfloat16)
        optimizer = self.lion(model)
        view = model.wide.weight.detach()
        expected = view.clone()
        optimizer.close()
        other = self.lion(model)
        self.train(other, model)
        self.assertEqual(differing([expected], [view]), 0)
        self.assertNotEqual(differing([expected], [model.wide.weight]), 0)


if __name__ == "__main__":
    unittest.main()
