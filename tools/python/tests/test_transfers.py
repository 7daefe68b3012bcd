"""Gradients and weights between a GPU and the host, beside what it computes: on one that is late."""

from __future__ import annotations

import itertools
import threading
import time
import unittest.mock
from typing import Any, ContextManager

import torch
from torch import nn

import lionstore
from lionstore import Lion
from lionstore._transfer import SLOTS
from cases import LionTest
from fake_gpu import FakeGpu
from reference import Network, batches, differing, loss_of, network

BESIDE = ["plane", "stream"]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def odd_network(dtype: torch.dtype) -> Network:
    """With a parameter that is not contiguous."""
    model = network(dtype)
    model.narrow.weight = nn.Parameter(model.narrow.weight.detach().t().contiguous().t())
    return model


def slow(optimizer: Lion) -> ContextManager[Any]:
    """For as long, a store that takes gradients later than a backward pass gives them."""
    call = optimizer.store.call

    def slowly(name: str, *arguments: Any) -> int:
        if name in ("put", "stream"):
            time.sleep(0.01)
        return call(name, *arguments)

    return unittest.mock.patch.object(optimizer.store, "call", slowly)


class TransfersTest(LionTest):
    def setUp(self) -> None:
        super().setUp()
        self.gpu = FakeGpu()

    def on_gpu(self, model: nn.Module, name: str = "gpu", **options: Any) -> Lion:
        """An optimizer for parameters that are on the GPU."""
        with unittest.mock.patch.dict("lionstore._cuda.KINDS", {"cpu": lambda _: self.gpu}):
            with unittest.mock.patch("lionstore._binding.is_on_host", lambda _: False):
                return self.lion(model, name, **options)

    def pair(self, dtype: torch.dtype, name: str, **options: Any) -> list[tuple[Lion, Network]]:
        """The same on the GPU and on the CPU."""
        models = [odd_network(dtype), odd_network(dtype)]
        return [
            (self.on_gpu(models[0], f"{name}-gpu", **options), models[0]),
            (self.lion(models[1], f"{name}-cpu", **options), models[1]),
        ]

    def assert_equal(self, pair: list[tuple[Lion, Network]]) -> None:
        (found, model), (expected, other) = pair
        self.assertEqual(differing(model.parameters(), other.parameters()), 0)
        self.assertEqual((found.steps, found.hash()), (expected.steps, expected.hash()))

    def test_steps_equal_those_on_the_cpu_in_every_bit(self) -> None:
        for dtype, way, maximize in itertools.product(DTYPES, BESIDE, [False, True]):
            with self.subTest(dtype=dtype, gradients=way, maximize=maximize):
                name = f"{dtype}-{way}-{maximize}"
                pair = self.pair(dtype, name, gradients=way, maximize=maximize)
                before = self.gpu.copies
                for optimizer, model in pair:
                    self.train(optimizer, model, 8)
                self.assertEqual(self.gpu.copies - before, 8 * 2 * 8)
                self.assert_equal(pair)

    def test_clipped_steps_equal_those_on_the_cpu_in_every_bit(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            pair = self.pair(dtype, f"{dtype}", gradients="plane", clip_norm=0.05)
            for optimizer, model in pair:
                self.train(optimizer, model, 8)
                self.assertLess(optimizer.clip_coefficient, 1)
            self.assertEqual(pair[0][0].gradient_norm, pair[1][0].gradient_norm)
            self.assert_equal(pair)

    def test_torch_clips_what_is_still_on_its_way(self) -> None:
        pair = self.pair(torch.float32, "pair", gradients="plane")
        for batch in batches(5):
            for optimizer, model in pair:
                optimizer.zero_grad()
                with slow(optimizer):
                    loss_of(model, batch).backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 0.05)
                optimizer.step()
        self.assert_equal(pair)

    def test_gradients_add_up_in_the_plane(self) -> None:
        pair = self.pair(torch.float32, "pair", gradients="plane")
        for first, second in itertools.batched(batches(8), 2):
            for optimizer, model in pair:
                loss_of(model, first).backward()
                loss_of(model, second).backward()
                optimizer.step()
        self.assert_equal(pair)

    def test_few_gradients_are_kept_and_no_buffer_is_taken_from_a_store_that_reads_it(self) -> None:
        for way in BESIDE:
            with self.subTest(gradients=way):
                pair = self.pair(torch.float32, way, gradients=way)
                optimizer, model = pair[0]
                with slow(optimizer):
                    self.train(optimizer, model, 4)
                self.train(pair[1][0], pair[1][1], 4)
                self.assert_equal(pair)
                self.assertEqual(self.gpu.most_gradients, SLOTS)

    def test_weights_are_not_written_while_something_before_the_step_reads_them(self) -> None:
        model = network(torch.float32)
        optimizer = self.on_gpu(model, gradients="plane")
        loss_of(model, batches(1)[0]).backward()
        expected = [p.detach().clone() for p in model.parameters()]
        seen: list[torch.Tensor] = []
        # A forward pass that the GPU has not come to yet.
        self.gpu.computing.enqueue(lambda: seen.extend(p.detach().clone() for p in model.parameters()))
        optimizer.step()
        self.assertEqual(differing(seen, expected), 0)
        self.assertNotEqual(differing(model.parameters(), expected), 0)

    def test_a_gradient_that_is_not_finite_gives_its_buffer_back(self) -> None:
        for way in BESIDE:
            with self.subTest(gradients=way):
                pair = self.pair(torch.float32, way, gradients=way)
                for optimizer, model in pair:
                    for _ in range(SLOTS + 1):
                        with self.assertWarns(UserWarning):
                            optimizer.zero_grad()
                            (loss_of(model, batches(1)[0]) * float("inf")).backward()
                            optimizer.step()
                    self.assertEqual(optimizer.skipped_steps, SLOTS + 1)
                    self.train(optimizer, model, 2)
                self.assert_equal(pair)

    def test_zero_grad_forgets_what_is_still_on_its_way(self) -> None:
        pair = self.pair(torch.float32, "pair", gradients="plane")
        for optimizer, model in pair:
            with slow(optimizer):
                loss_of(model, batches(1)[0]).backward()
                optimizer.zero_grad()
                optimizer.step()
            self.assertEqual(optimizer.steps, 0)
            # What comes late would be stepped beside these.
            model.wide.weight.sum().backward()
            optimizer.step()
        self.assert_equal(pair)

    def test_a_gradient_that_the_plane_does_not_take_is_told_by_the_step(self) -> None:
        model = network(torch.float32)
        optimizer = self.on_gpu(model, gradients="plane")
        call = optimizer.store.call

        def full(name: str, *arguments: Any) -> int:
            if name == "put":
                raise lionstore.SystemFailure("gradient.plane: no space left on device")
            return call(name, *arguments)

        with unittest.mock.patch.object(optimizer.store, "call", full):
            loss_of(model, batches(1)[0]).backward()
            with self.assertRaisesRegex(lionstore.SystemFailure, "no space left"):
                optimizer.step()
        optimizer.step()
        self.assertEqual(optimizer.steps, 0)
        self.train(optimizer, model)
        self.assertEqual(optimizer.steps, 3)

    def test_closing_waits_for_what_is_on_its_way(self) -> None:
        for way in BESIDE:
            with self.subTest(gradients=way):
                model = network(torch.bfloat16)
                threads = set(threading.enumerate())
                optimizer = self.on_gpu(model, way, gradients=way)
                with unittest.mock.patch.object(self.gpu.computing, "wait_event"):
                    self.train(optimizer, model, 1)  # the GPU has not come to what waits for weights
                self.assertFalse(all(stream.is_idle for stream in self.gpu.streams))
                with slow(optimizer):
                    loss_of(model, batches(1)[0]).backward()
                    optimizer.close()
                self.assertTrue(all(stream.is_idle for stream in self.gpu.streams))
                self.assertEqual(threads.union(threading.enumerate()), threads)


if __name__ == "__main__":
    unittest.main()
