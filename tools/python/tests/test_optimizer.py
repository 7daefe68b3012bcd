"""A Lion behaves as PyTorch's optimizers do."""

from __future__ import annotations

import copy
import gc
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import warnings
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import lionstore
from lionstore import Lion
from lionstore._stored_gradient import StoredGradient
from reference import batches, bits, differing, loss_of, network

WAYS = ["step", "plane", "stream"]


class OptimizerTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def lion(self, model: nn.Module, name: str = "store", **options: Any) -> Lion:
        options = {"lr": 1e-3, **options}
        optimizer = Lion(model.named_parameters(), store=f"{self.folder}/{name}", **options)
        self.addCleanup(optimizer.close)
        return optimizer

    def train(self, optimizer: Lion, model: nn.Module, count: int = 3, seed: int = 2) -> None:
        for batch in batches(count, seed):
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.step()

    # --- weights

    def test_bfloat16_parameters_are_the_stores_memory(self) -> None:
        model = network(torch.bfloat16)
        before = model.wide.weight.detach().clone()
        optimizer = self.lion(model)
        self.assertEqual(differing([before], [model.wide.weight]), 0)
        self.train(optimizer, model)
        self.assertNotEqual(differing([before], [model.wide.weight]), 0)
        with open(f"{self.folder}/store/weights.plane", "rb") as file:
            self.assertIn(bytes(bits(model.wide.weight).numpy()), file.read())

    def test_memory_of_a_store_outlives_its_optimizer(self) -> None:
        model = network(torch.bfloat16)
        optimizer = Lion(model.named_parameters(), store=f"{self.folder}/store")
        self.train(optimizer, model)
        expected = model.wide.weight.detach().clone()
        del optimizer
        gc.collect()
        self.assertEqual(differing([expected], [model.wide.weight]), 0)
        with self.assertRaises(lionstore.BusyError):
            self.lion(network(torch.bfloat16))
        del model
        gc.collect()
        self.lion(network(torch.bfloat16))

    def test_a_closed_optimizer_leaves_the_model_its_weights(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            model = network(dtype)
            optimizer = self.lion(model, str(dtype))
            self.train(optimizer, model)
            expected = [p.detach().clone() for p in model.parameters()]
            optimizer.close()
            self.assertEqual(differing(expected, model.parameters()), 0)

    def test_a_store_goes_on_and_the_model_gets_its_weights(self) -> None:
        for dtype, way in itertools.product([torch.float32, torch.bfloat16], WAYS):
            with self.subTest(dtype=dtype, gradients=way):
                name = f"{dtype}-{way}"
                model = network(dtype)
                optimizer = self.lion(model, name, gradients=way)
                self.train(optimizer, model)
                expected, expected_hash = [*model.parameters()], optimizer.hash()
                optimizer.close()
                other = network(dtype, seed=5)
                resumed = self.lion(other, name, gradients=way)
                self.assertEqual(resumed.steps, 3)
                self.assertEqual(resumed.hash(), expected_hash)
                self.assertEqual(differing(expected, other.parameters()), 0)

    def test_weights_loaded_later_are_taken_over(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            model, fresh = network(dtype), network(dtype, seed=9)
            optimizer = self.lion(model, f"{dtype}", lr=1e-9)
            self.train(optimizer, model, 1)
            model.load_state_dict(fresh.state_dict())
            self.train(optimizer, model, 1)
            # With a learning rate this small, a step from there ends there.
            torch.testing.assert_close([*model.parameters()], [*fresh.parameters()])

    def test_other_layouts_and_dtypes_are_written_after_a_step(self) -> None:
        for dtype in [torch.float16, torch.float32, torch.bfloat16]:
            weight = torch.arange(12.0).reshape(3, 4).to(dtype)
            parameter = nn.Parameter(weight.clone().t())
            optimizer = Lion([parameter], store=f"{self.folder}/{dtype}", lr=0.5)
            self.addCleanup(optimizer.close)
            parameter.sum().backward()
            optimizer.step()
            self.assertTrue(torch.equal(parameter, weight.t() - 0.5))

    def test_large_tensors_are_copied_whole(self) -> None:
        before = torch.linspace(1, 2, 600_001)
        parameter = nn.Parameter(before.clone())
        optimizer = Lion([parameter], store=f"{self.folder}/store", lr=0.5)
        self.addCleanup(optimizer.close)
        parameter.sum().backward()
        optimizer.step()
        self.assertEqual(differing([before - 0.5], [parameter]), 0)

    def test_parameters_of_no_elements_are_left_alone(self) -> None:
        empty, one = nn.Parameter(torch.empty(0, 3)), nn.Parameter(torch.ones(1))
        for way in WAYS:
            optimizer = Lion([empty, one], store=f"{self.folder}/{way}", gradients=way)
            (empty.sum() + one.sum()).backward()
            optimizer.step()
            self.assertEqual(optimizer.steps, 1)
            optimizer.close()

    def test_a_model_moved_after_the_optimizer_is_noticed(self) -> None:
        model = network(torch.bfloat16)
        optimizer = self.lion(model)
        model.float()
        with self.assertRaisesRegex(lionstore.StateError, "move the model first"):
            self.train(optimizer, model, 1)

    def test_replaced_memory_is_noticed(self) -> None:
        model = network(torch.bfloat16)
        optimizer = self.lion(model)
        model.wide.weight.data = model.wide.weight.data.clone()
        with self.assertRaisesRegex(lionstore.StateError, r"wide\.weight.*copy values into it"):
            self.train(optimizer, model, 1)

    # --- gradients

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
        optimizer._gradients._todo.join()
        with self.assertRaisesRegex(lionstore.StateError, r"optimizer\.accumulating\(\)"):
            loss_of(model, batches(1)[0]).backward()
        with self.assertRaisesRegex(lionstore.StateError, "stepped already"):
            optimizer.zero_grad()
        optimizer.step()
        self.assertEqual(optimizer.steps, 1)

    def test_gradients_accumulate_in_grad_until_the_step(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        loss_of(model, batches(1)[0]).backward()
        once = model.wide.weight.grad.clone()
        loss_of(model, batches(1)[0]).backward()
        self.assertTrue(torch.equal(model.wide.weight.grad, once * 2))
        optimizer.step()
        self.assertEqual(optimizer.steps, 1)

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

    def test_gradients_that_leave_take_no_memory_and_stay_countable(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model, gradients="plane")
        loss_of(model, batches(1)[0]).backward()
        gradient = model.wide.weight.grad
        self.assertIsInstance(gradient, StoredGradient)
        self.assertEqual(gradient.data_ptr(), 0)
        self.assertGreater(float(torch.linalg.vector_norm(gradient)), 0)
        with self.assertRaisesRegex(lionstore.StateError, r"wide\.weight has left \.grad"):
            gradient.abs()
        with self.assertRaisesRegex(lionstore.StateError, "2-norm, not inf"):
            nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=float("inf"))
        optimizer.step()
        self.assertIsNone(model.wide.weight.grad)

    def test_a_part_alone_cannot_be_clipped_once_gradients_have_left(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model, gradients="plane")
        loss_of(model, batches(1)[0]).backward()
        nn.utils.clip_grad_norm_(model.wide.parameters(), 1e-3)
        with self.assertRaisesRegex(lionstore.StateError, "clip all of them at once"):
            optimizer.step()

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

    # --- options

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

    def test_values_out_of_bounds_are_refused_by_the_step(self) -> None:
        for options, text in [
            (dict(lr=-1.0), "learning rate is -1.0"),
            (dict(betas=(1.0, 0.9)), "beta1 is 1.0"),
            (dict(lr=0.5, weight_decay=2.0), "expected less than 1"),
        ]:
            model = network(torch.float32)
            optimizer = self.lion(model, text, **options)
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

    # --- layouts that change

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

    def test_a_store_is_not_closed_while_its_memory_is_used(self) -> None:
        model = network(torch.bfloat16)
        optimizer = self.lion(model)
        view = model.wide.weight.detach()
        with self.assertRaisesRegex(lionstore.StateError, "still used"):
            optimizer.close()
        del view
        optimizer.close()

    # --- stores

    def test_another_model_is_refused_naming_what_differs(self) -> None:
        self.lion(network(torch.float32)).close()
        other = network(torch.float32)
        other.wide = nn.Linear(24, 208)
        other.frozen.requires_grad_(True)
        other.more = nn.Parameter(torch.ones(2))
        del other.unused
        with self.assertRaises(lionstore.MismatchError) as raised:
            self.lion(other)
        for text in [
            "wide.weight has shape [208, 24] in the model and [207, 24] in the store",
            "frozen is frozen in the store and trained in the model",
            "more is not in the store",
            "unused is in the store alone",
        ]:
            self.assertIn(text, str(raised.exception))
        self.lion(network(torch.float32))

    def test_a_store_without_gradients_is_refused_where_they_are_needed(self) -> None:
        self.lion(network(torch.float32), gradients="stream").close()
        with self.assertRaisesRegex(lionstore.MismatchError, "gradient plane is none"):
            self.lion(network(torch.float32))

    def test_a_store_that_is_open_is_busy(self) -> None:
        self.lion(network(torch.float32))
        with self.assertRaisesRegex(lionstore.BusyError, "this process"):
            self.lion(network(torch.float32))
        script = f"""
            import lionstore, sys
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import network, torch
            try:
                lionstore.Lion(network(torch.float32).named_parameters(), store={self.folder!r} + "/store")
            except lionstore.BusyError as busy:
                print(busy)
        """
        self.assertIn(f"process {os.getpid()} has it open", run(script))

    def test_what_is_no_store_is_left_alone(self) -> None:
        os.makedirs(f"{self.folder}/store")
        with open(f"{self.folder}/store/notes.txt", "w") as file:
            file.write("mine")
        with self.assertRaisesRegex(lionstore.ExistsError, "not an empty folder"):
            self.lion(network(torch.float32))

    def test_a_damaged_store_is_refused(self) -> None:
        self.lion(network(torch.float32)).close()
        with open(f"{self.folder}/store/momentum.plane", "ab") as file:
            file.write(b"more")
        with self.assertRaisesRegex(lionstore.FormatError, "momentum.plane: size is"):
            self.lion(network(torch.float32))

    def test_several_stores_in_one_process(self) -> None:
        models = [network(torch.float32), network(torch.bfloat16)]
        optimizers = [self.lion(m, f"{i}") for i, m in enumerate(models)]
        for _ in range(3):
            for model, optimizer in zip(models, optimizers):
                self.train(optimizer, model, 1)
        self.assertEqual([o.steps for o in optimizers], [3, 3])

    def test_a_snapshot_is_a_store_again(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        self.train(optimizer, model)
        path = optimizer.snapshot(f"{self.folder}/snapshots")
        Lion.restore(path, f"{self.folder}/restored")
        self.assertEqual(self.lion(network(torch.float32), "restored").hash(), optimizer.hash())

    def test_a_background_snapshot_has_the_step_that_it_was_begun_at(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            with self.subTest(dtype=dtype):
                model = network(dtype)
                optimizer = self.lion(model, f"store-{dtype}")
                self.train(optimizer, model, 2)
                expected = optimizer.hash()
                begun = optimizer.snapshot(f"{self.folder}/{dtype}", {"note": b"\0two"}, wait=False)
                self.train(optimizer, model, 3)
                path = optimizer.wait_for_snapshot()
                self.assertIsNone(begun)
                self.assertTrue(optimizer.is_snapshot_done)
                self.assertIsNone(optimizer.wait_for_snapshot())
                extra = Lion.restore(path, f"{self.folder}/restored-{dtype}")
                self.assertEqual(extra, {"note": b"\0two"})
                restored = self.lion(network(dtype), f"restored-{dtype}")
                self.assertEqual((restored.steps, restored.hash()), (2, expected))

    def test_closing_completes_a_background_snapshot(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        optimizer.snapshot(f"{self.folder}/snapshots", wait=False)
        optimizer.close()
        self.assertEqual(os.listdir(f"{self.folder}/snapshots"), ["step-000000000000"])

    def test_a_background_snapshot_that_fails_says_so_later_and_steps_go_on(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        optimizer.snapshot(f"{self.folder}/snapshots")
        with self.assertRaises(lionstore.ExistsError):
            optimizer.snapshot(f"{self.folder}/snapshots", wait=False)
        self.train(optimizer, model, 1)
        self.assertEqual(optimizer.steps, 1)

    def test_some_snapshots_are_kept(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        for _ in range(4):
            self.train(optimizer, model, 1)
            optimizer.snapshot(f"{self.folder}/snapshots", keep=2)
        there = sorted(n for n in os.listdir(f"{self.folder}/snapshots") if n.startswith("step"))
        folders = [n for n in there if os.path.isdir(f"{self.folder}/snapshots/{n}")]
        self.assertEqual(folders, ["step-000000000003", "step-000000000004"])
        with self.assertRaisesRegex(lionstore.ArgumentError, "keep is 0"):
            optimizer.snapshot(f"{self.folder}/snapshots", keep=0)

    def test_model_files_go_into_snapshots_and_out_of_them(self) -> None:
        files = f"{self.folder}/files"
        os.mkdir(files)
        for name in ["config.json", "tokenizer.json", "model.safetensors"]:
            with open(f"{files}/{name}", "w") as file:
                file.write(name)
        model = network(torch.float32)
        optimizer = self.lion(model, model_files=files)
        next(model.parameters()).requires_grad_(False)
        optimizer.update_layout()
        path = optimizer.snapshot(f"{self.folder}/snapshots")
        Lion.restore(path, f"{self.folder}/restored")
        again = self.lion(copy.deepcopy(model), "restored").snapshot(f"{self.folder}/again")
        for folder in [path, again]:
            with open(f"{folder}/tokenizer.json") as file:
                self.assertEqual(file.read(), "tokenizer.json")
            with open(f"{folder}/config.json") as file:
                self.assertEqual(file.read(), "config.json")
            self.assertGreater(os.path.getsize(f"{folder}/model.safetensors"), 100)

    def test_model_files_that_are_no_folder_leave_no_store(self) -> None:
        with self.assertRaisesRegex(lionstore.MissingError, "nowhere"):
            self.lion(network(torch.float32), model_files=f"{self.folder}/nowhere")
        self.assertFalse(os.path.exists(f"{self.folder}/store"))

    # --- state

    def test_a_state_dict_refers_to_the_store(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        optimizer.param_groups[0]["lr"] = 0.25
        state = optimizer.state_dict()
        self.assertEqual(state["state"], {})
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.load_state_dict(state)
        self.assertEqual(optimizer.param_groups[0]["lr"], 0.25)
        self.train(optimizer, model, 1)
        with self.assertRaisesRegex(lionstore.MismatchError, "is of step 0"):
            optimizer.load_state_dict(state)

    def test_lion_pytorchs_momentum_is_taken(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        trained = {i: p for i, p in enumerate(model.parameters()) if p.requires_grad}
        averages = {i: torch.randn(p.shape) for i, p in trained.items()}
        state = {
            "state": {i: {"exp_avg": average} for i, average in averages.items()},
            "param_groups": optimizer.state_dict()["param_groups"],
        }
        optimizer.load_state_dict(state)
        found = [optimizer.momentum(p) for p in trained.values()]
        self.assertEqual(differing(found, [a.bfloat16().float() for a in averages.values()]), 0)
        frozen = next(i for i in range(len(state["state"]) + 1) if i not in trained)
        state["state"] = {frozen: {"exp_avg": torch.ones(24)}}
        with self.assertRaisesRegex(lionstore.MismatchError, "frozen is frozen"):
            optimizer.load_state_dict(state)

    def test_another_optimizers_state_is_refused(self) -> None:
        model = network(torch.float32)
        adam = torch.optim.AdamW(model.parameters())
        loss_of(model, batches(1)[0]).backward()
        adam.step()
        with self.assertRaisesRegex(lionstore.MismatchError, "exp_avg_sq"):
            self.lion(model).load_state_dict(adam.state_dict())

    def test_a_resumed_run_equals_one_that_was_not_interrupted(self) -> None:
        def run_to(last: int, name: str) -> str:
            model = nn.Sequential(network(torch.float32), nn.Dropout(0.2))
            optimizer = Lion(model.named_parameters(), store=f"{self.folder}/{name}", lr=1e-3)
            schedule = CosineAnnealingLR(optimizer, T_max=20)
            torch.manual_seed(3)
            random.seed(3)
            start = optimizer.resume(schedule).get("next", 0)
            for number in range(start, last):
                batch = batches(1, seed=random.randrange(1 << 30))[0]
                optimizer.zero_grad()
                loss_of(model, batch).backward()
                optimizer.extra["next"] = number + 1
                optimizer.step()
                schedule.step()
            result = optimizer.hash()
            optimizer.close()
            return result

        expected = run_to(12, "whole")
        for last in [1, 5, 6, 12]:
            found = run_to(last, "parts")
        self.assertEqual(found, expected)

    # --- processes

    def test_loader_workers_may_be_forked(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        loader = torch.utils.data.DataLoader(
            [b[0] for b in batches(6)], num_workers=2, multiprocessing_context="fork"
        )
        for tokens in loader:
            optimizer.zero_grad()
            model(tokens[0]).square().mean().backward()
            optimizer.step()
        self.assertEqual(optimizer.steps, 6)

    def test_a_forked_child_is_told(self) -> None:
        script = f"""
            import os, sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            model = network(torch.float32)
            optimizer = lionstore.Lion(model.named_parameters(), store={self.folder!r} + "/store")
            loss_of(model, batches(1)[0]).backward()
            child = os.fork()
            if child == 0:
                try:
                    optimizer.step()
                except lionstore.ForkError as told:
                    print("told:", told, flush=True)
                sys.exit(7)
            print("child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            optimizer.step()
            print("parent:", optimizer.steps)
        """
        output = run(script)
        self.assertIn("told: a forked child cannot use its parent's optimizer", output)
        self.assertIn("child: 7", output)
        self.assertIn("parent: 1", output)

    def test_control_c_is_pythons(self) -> None:
        script = f"""
            import signal, sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            # A shell that runs the tests in the background has made it ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            model = network(torch.float32)
            optimizer = lionstore.Lion(model.named_parameters(), store={self.folder!r} + "/store")
            print("ready", flush=True)
            try:
                while True:
                    loss_of(model, batches(1)[0]).backward()
                    optimizer.step()
            except KeyboardInterrupt:
                print("interrupted at", optimizer.steps > 0)
        """
        with subprocess.Popen(command(script), stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(1)
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        self.assertEqual((output, process.returncode), ("interrupted at True\n", 0))

    def test_the_runtime_keeps_its_signals_where_faulthandler_was_enabled(self) -> None:
        script = f"""
            import faulthandler, lionstore, torch
            faulthandler.enable()
            lionstore.Lion([torch.nn.Parameter(torch.ones(1))], store={self.folder!r} + "/store")
            faulthandler.disable()
            caught = next(line for line in open("/proc/self/status") if line.startswith("SigCgt"))
            print("SIGSEGV is caught:", bool(int(caught.split()[1], 16) >> 10 & 1))
        """
        self.assertIn("SIGSEGV is caught: True", run(script))

    def test_the_store_is_closed_at_the_end_of_the_process(self) -> None:
        script = f"""
            import sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            model = network(torch.bfloat16)
            optimizer = lionstore.Lion(model.named_parameters(), store={self.folder!r} + "/store")
            loss_of(model, batches(1)[0]).backward()
            optimizer.step()
        """
        run(script)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertEqual(self.lion(network(torch.bfloat16)).steps, 1)

    def test_a_missing_runtime_is_named(self) -> None:
        script = """
            import lionstore, torch
            try:
                lionstore.Lion([torch.nn.Parameter(torch.ones(1))], store="/nowhere")
            except lionstore.RuntimeMissingError as missing:
                print(missing)
        """
        output = run(script, LIONSTORE_JAVA="/nowhere/java")
        self.assertIn("install the lionstore wheel", output)

    def test_memory_does_not_grow(self) -> None:
        model = network(torch.bfloat16)
        optimizer = self.lion(model)
        self.train(optimizer, model, 500)
        before = resident_bytes()
        self.train(optimizer, model, 1500)
        self.assertLess(resident_bytes() - before, 8 << 20)


def command(script: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(script)]


def run(script: str, **environment: str) -> str:
    """What a script prints in a process of its own, which must end well."""
    done = subprocess.run(
        command(script), capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
