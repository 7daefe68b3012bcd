"""Gradients, however they come, behave as PyTorch's optimizers' do."""

from __future__ import annotations

import copy
import threading
import unittest
import unittest.mock
from typing import Any

import torch
from torch import nn

import lionstore
from lionstore import Lion
from lionstore._stored_gradient import StoredGradient
from cases import LionTest, WAYS
from reference import batches, differing, loss_of, network


class GradientsTest(LionTest):
    def test_a_gradient_that_is_not_finite_skips_the_step_and_is_counted(self) -> None:
        for way in ["step", "plane"]:
            with self.subTest(gradients=way):
                model = network(torch.float32)
                optimizer = self.lion(model, way, gradients=way)
                self.train(optimizer, model)
                expected = optimizer.hash()
                with self.assertWarnsRegex(UserWarning, "step 3 skipped: gradient of"):
                    optimizer.zero_grad()
                    (loss_of(model, batches(1)[0]) * float("inf")).backward()
                    optimizer.step()
                self.assertEqual((optimizer.hash(), optimizer.steps), (expected, 3))
                self.assertEqual(optimizer.skipped_steps, 1)
                self.train(optimizer, model)
                self.assertEqual(optimizer.steps, 6)

    def test_a_stream_skips_tensors_that_are_not_finite(self) -> None:
        good, bad = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        optimizer = Lion(
            [("good", good), ("bad", bad)], store=f"{self.folder}/s", lr=0.5, gradients="stream"
        )
        self.addCleanup(optimizer.close)
        with self.assertWarnsRegex(UserWarning, "gradient of bad: element 0 is Infinity"):
            (good.sum() + bad.sum() * float("inf")).backward()
            optimizer.step()
        self.assertEqual((good.tolist(), bad.tolist()), ([0.5] * 3, [1.0] * 3))
        self.assertEqual(optimizer.skipped_steps, 1)

    def test_a_stream_steps_on_a_thread_of_its_own_while_the_backward_pass_goes_on(self) -> None:
        first, last = nn.Linear(3, 3), nn.Linear(3, 3)
        model = nn.Sequential(first, last)
        optimizer = self.lion(model, gradients="stream")
        before = [p.detach().clone() for p in model.parameters()]
        goes_on, stepped = threading.Event(), threading.Event()
        seen: list[tuple[bool, bool]] = []
        call = optimizer.store.call

        def held(name: str, *arguments: Any) -> int:
            # A step in the backward pass itself would wait for it in vain.
            if name == "stream" and not goes_on.wait(20):
                raise AssertionError("the backward pass waits for a step")
            result = call(name, *arguments)
            if name == "copyMasters":
                stepped.set()
            return result

        def on_the_way(_: torch.Tensor) -> None:
            goes_on.set()
            is_stepped = stepped.wait(20)
            seen.append((is_stepped, torch.equal(first.weight, before[0])))

        with unittest.mock.patch.object(optimizer.store, "call", held):
            hidden = first(torch.ones(2, 3))
            hidden.register_hook(on_the_way)
            last(hidden).sum().backward()
            optimizer.step()
        self.assertEqual(seen, [(True, True)])
        for parameter, old in zip(model.parameters(), before):
            self.assertTrue((parameter != old).all(), "step() waits for all of them")

    def test_without_gradients_a_step_does_nothing(self) -> None:
        for way in WAYS:
            optimizer = self.lion(network(torch.float32), way, gradients=way)
            optimizer.step()
            self.assertEqual(optimizer.steps, 0)

    def test_zero_grad_forgets_what_has_left_grad(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model, gradients="plane")
        loss_of(model, batches(1)[0]).backward()
        optimizer.zero_grad()
        optimizer.step()
        self.assertEqual(optimizer.steps, 0)

    def test_a_second_gradient_in_stream_mode_says_what_to_do(self) -> None:
        model = network(torch.float32)
        optimizer = Lion(
            model.named_parameters(), store=f"{self.folder}/s", lr=1e-3, gradients="stream"
        )
        self.addCleanup(optimizer.close)
        loss_of(model, batches(1)[0]).backward()
        # A forward pass beside the worker that steps would be stopped by autograd: no less an error.
        optimizer._gradients._worker.join()
        with self.assertRaisesRegex(lionstore.StateError, r"optimizer\.accumulating\(\)"):
            loss_of(model, batches(1)[0]).backward()
        with self.assertWarnsRegex(UserWarning, "had been stepped, which stream mode cannot take back"):
            optimizer.zero_grad()
        self.assertEqual(optimizer.steps, 1)
        self.train(optimizer, model, 1)
        self.assertEqual(optimizer.steps, 2)

    def test_gradients_accumulate_in_grad_until_the_step(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        loss_of(model, batches(1)[0]).backward()
        once = model.wide.weight.grad.clone()
        loss_of(model, batches(1)[0]).backward()
        self.assertTrue(torch.equal(model.wide.weight.grad, once * 2))
        optimizer.step()
        self.assertEqual(optimizer.steps, 1)

    def test_gradients_add_up_in_a_bfloat16_plane_as_they_do_in_grad(self) -> None:
        models = [network(torch.bfloat16), network(torch.bfloat16)]
        optimizers = [
            self.lion(model, way, gradients=way) for model, way in zip(models, ["plane", "step"])
        ]
        for optimizer, model in zip(optimizers, models):
            for batch in batches(3):
                loss_of(model, batch).backward()
            optimizer.step()
        self.assertEqual(optimizers[0].hash(), optimizers[1].hash())

    def test_a_closure_computes_the_loss(self) -> None:
        for way in WAYS:
            model = network(torch.float32)
            optimizer = self.lion(model, way, gradients=way)

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = loss_of(model, batches(1)[0])
                loss.backward()
                return loss

            first = float(optimizer.step(closure).detach())
            for _ in range(5):
                last = float(optimizer.step(closure).detach())
            self.assertLess(last, first)

    def test_torchs_clipping_works_on_grad(self) -> None:
        models = [network(torch.float32), network(torch.float32)]
        by_torch = self.lion(models[0], "torch")
        by_store = self.lion(models[1], "store", clip_norm=0.05)
        for batch in batches(5):
            for model, optimizer in zip(models, [by_torch, by_store]):
                optimizer.zero_grad()
                loss_of(model, batch).backward()
            norm = nn.utils.clip_grad_norm_(models[0].parameters(), 0.05)
            by_torch.step()
            by_store.step()
            self.assertAlmostEqual(float(norm), by_store.gradient_norm, places=5)
        torch.testing.assert_close([*models[0].parameters()], [*models[1].parameters()])

    def test_a_gradient_scaler_skips_and_unscales(self) -> None:
        plain = network(torch.float32)
        expected = self.lion(plain, "plain")
        self.train(expected, plain, 3)
        for way in ["step", "plane"]:
            with self.subTest(gradients=way):
                model = network(torch.float32)
                optimizer = self.lion(model, way, gradients=way)
                scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
                for batch in batches(3):
                    optimizer.zero_grad()
                    scaler.scale(loss_of(model, batch)).backward()
                    scaler.step(optimizer)
                    scaler.update()
                self.assertEqual(differing(model.parameters(), plain.parameters()), 0)
                # Weights move by the sign alone: momentum shows whether gradients were unscaled.
                found = optimizer.momentum(model.wide.weight)
                self.assertEqual(differing([found], [expected.momentum(plain.wide.weight)]), 0)
                optimizer.zero_grad()
                scaler.scale(loss_of(model, batches(1)[0]) * float("inf")).backward()
                scaler.step(optimizer)
                scaler.update()
                self.assertEqual((optimizer.steps, scaler.get_scale()), (3, 2.0**9))

    def test_gradients_that_leave_take_no_memory_and_answer_as_if_they_were_there(self) -> None:
        model, other = network(torch.float32), network(torch.float32)
        optimizer = self.lion(model, gradients="plane")
        for each in [model, other]:
            loss_of(each, batches(1)[0]).backward()
        gradient, expected = model.wide.weight.grad, other.wide.weight.grad
        self.assertIsInstance(gradient, StoredGradient)
        self.assertEqual(gradient.data_ptr(), 0)
        self.assertGreater(float(torch.linalg.vector_norm(gradient)), 0)
        self.assertTrue(torch.equal(gradient.abs().sum(), expected.abs().sum()))
        self.assertTrue(torch.equal(copy.deepcopy(gradient), expected))
        norms = [
            nn.utils.clip_grad_norm_(each.parameters(), 1e-3, norm_type=float("inf"))
            for each in [model, other]
        ]
        self.assertEqual(*map(float, norms))
        for grad in [gradient, expected]:
            grad.clamp_(-1e-6, 1e-6)
            grad[0] = 0
        self.assertTrue(torch.equal(gradient.clone(), expected))
        optimizer.step()
        self.assertTrue(torch.equal(model.wide.weight.grad.clone(), expected), "as .grad stays")

    def test_a_part_alone_is_clipped_as_it_is_in_grad(self) -> None:
        optimizers = []
        for way in ["plane", "step"]:
            model = network(torch.float32)
            optimizers.append(self.lion(model, way, gradients=way))
            loss_of(model, batches(1)[0]).backward()
            nn.utils.clip_grad_value_(model.narrow.parameters(), 1e-4)
            nn.utils.clip_grad_norm_(model.wide.parameters(), 1e-3)
            optimizers[-1].step()
        torch.testing.assert_close(
            *[[o.momentum(p) for p in o.param_groups[0]["params"]] for o in optimizers]
        )

    def test_clipping_in_stream_mode_is_an_error(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model, gradients="stream")
        loss_of(model, batches(1)[0]).backward()
        with self.assertRaisesRegex(lionstore.StateError, "stream mode can neither clip"):
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def test_sparse_gradients_are_refused(self) -> None:
        embedding = nn.Embedding(5, 3, sparse=True)
        optimizer = self.lion(embedding)
        embedding(torch.tensor([1])).sum().backward()
        with self.assertRaisesRegex(lionstore.ArgumentError, "dense gradients"):
            optimizer.step()


if __name__ == "__main__":
    unittest.main()
