"""Lion in Hugging Face's Accelerate; not found by discovery, because Debian trixie has no accelerate.

    tools/python/bin/test accelerate_suite     # where python3 has torch, transformers and accelerate
"""

from __future__ import annotations

import copy
import gc
import os
import unittest
import weakref
from contextlib import nullcontext
from typing import Any, Callable

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from cases import WAYS, run
from hugging_face import MODELS, HuggingFaceTest, PlainLion, batches, dataset, llama
from lionstore import Lion, MismatchError, StateError
from reference import differing

STEPS = 6


def accelerator(**options: Any) -> Accelerator:
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
    return Accelerator(cpu=True, **options)


class Run:
    """A model, an optimizer and a schedule that Accelerate has prepared."""

    def __init__(
        self,
        model: Any,
        optimizer: torch.optim.Optimizer,
        schedule: type[LRScheduler] = CosineAnnealingLR,
        **options: Any,
    ) -> None:
        self.lion = optimizer
        self.accelerator = accelerator(**options)
        arguments: dict[str, Any] = {"T_max": STEPS} if schedule is CosineAnnealingLR else {}
        if schedule is OneCycleLR:
            arguments = {"max_lr": 1e-3, "total_steps": STEPS}
        self.model, self.optimizer, self.schedule = self.accelerator.prepare(
            model, optimizer, schedule(optimizer, **arguments)
        )
        self.rates: list[float] = []

    def train(self, first: int = 0, last: int = STEPS, clip: Callable[..., Any] | None = None) -> Run:
        unwrapped = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        for batch in batches(unwrapped, STEPS)[first:last]:
            self.optimizer.zero_grad()
            self.accelerator.backward(self.model(**batch).loss)
            if clip is not None:
                clip(self.accelerator, self.model.parameters())
            self.optimizer.step()
            self.schedule.step()
            self.rates.append(self.optimizer.param_groups[0]["lr"])
        return self


class AccelerateTest(HuggingFaceTest):
    def plain(self, name: str, **options: Any) -> Run:
        """The same training with Lion in plain PyTorch."""
        model = MODELS[name]()
        return Run(model, PlainLion(model, weight_decay=0.1), **options)

    def lions(self, name: str, way: str, store: str = "store", lion: Any = None, **options: Any) -> Run:
        model = MODELS[name]()
        more = lion or {}
        return Run(model, self.lion(model, f"{name}-{way}-{store}", gradients=way, **more), **options)

    def assert_trained_alike(self, left: Run, right: Run) -> None:
        self.assert_same(left.model, right.model)
        self.assertEqual(left.rates, right.rates)


class StepTest(AccelerateTest):
    def test_a_prepared_run_steps_and_schedules_as_plain_pytorch(self) -> None:
        for name in MODELS:
            for way in WAYS:
                for options in [{}, {"schedule": OneCycleLR}, {"mixed_precision": "bf16"}]:
                    with self.subTest(model=name, gradients=way, options=options):
                        expected = self.plain(name, **options).train()
                        made = self.lions(name, way, str(len(str(options))), **options).train()
                        self.assertEqual(made.lion.steps, STEPS)
                        self.assert_trained_alike(made, expected)

    def test_batches_that_are_split_and_a_loader_that_is_prepared_change_nothing(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                ends = []
                for make in [self.plain, lambda name, **o: self.lions(name, way, **o)]:
                    split = DataLoaderConfiguration(split_batches=True)
                    made = make("llama-float32", dataloader_config=split)
                    loader = torch.utils.data.DataLoader(dataset(made.model), batch_size=8)
                    for batch in made.accelerator.prepare(loader):
                        made.accelerator.backward(made.model(**batch).loss)
                        made.optimizer.step()
                        made.schedule.step()
                        made.optimizer.zero_grad()
                        made.rates.append(made.schedule.get_last_lr()[0])
                    ends.append(made)
                self.assert_trained_alike(ends[1], ends[0])

    def test_a_compiled_model_has_the_store_of_the_plain_one(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                made = self.lions("llama-float32", way, dynamo_backend="EAGER").train(0, 3)
                unwrapped = made.accelerator.unwrap_model(made.model, keep_torch_compile=False)
                self.assertIsInstance(unwrapped, type(llama()))
                expected = made.lion.hash()
                made.lion.close()
                self.assertEqual(self.lions("llama-float32", way).lion.hash(), expected)

    def test_preparing_twice_leaves_everything_as_it_is(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                made = self.lions("llama-bfloat16", way)
                before = made.lion.hash()
                made.model, made.optimizer = made.accelerator.prepare(made.model, made.optimizer)
                made.accelerator.prepare(made.optimizer.optimizer if way == "step" else made.optimizer)
                self.assertEqual(made.lion.hash(), before)
                self.assert_trained_alike(made.train(), self.plain("llama-bfloat16").train())

    def test_parameters_that_accelerate_exchanges_are_found_by_name(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                made = self.lions("llama-float32", way).train(0, 3)
                new = {}
                for module in made.model.modules():
                    for name, old in list(module._parameters.items()):
                        if old is not None:
                            new.setdefault(old, torch.nn.Parameter(old.detach().clone()))
                            setattr(module, name, new[old])
                made.optimizer._switch_parameters(new)
                made.train(3)
                self.assert_trained_alike(made, self.plain("llama-float32").train())

    def test_freed_memory_gives_the_store_back(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                model, path = MODELS["llama-bfloat16"](), f"{self.folder}/{way}"
                made = Run(model, Lion(model.parameters(), path, lr=1e-3, model=model, gradients=way)).train()
                expected, optimizer = made.lion.hash(), weakref.ref(made.lion)
                made.accelerator.free_memory()
                del made
                gc.collect()
                self.assertIsNone(optimizer())
                again = Lion(model.parameters(), path, model=model, gradients=way)
                self.assertEqual((again.steps, again.hash()), (STEPS, expected))
                again.close()


class ClipTest(AccelerateTest):
    def test_clip_grad_norm(self) -> None:
        def clip(by: Accelerator, parameters: Any) -> None:
            norms.append(float(by.clip_grad_norm_(parameters, 0.1)))

        for name in MODELS:
            with self.subTest(model=name):
                norms: list[float] = []
                expected = self.plain(name).train(clip=clip)
                step = self.lions(name, "step").train(clip=clip)
                self.assert_trained_alike(step, expected)
                self.assertEqual(norms[:STEPS], norms[STEPS:])
                plane = self.lions(name, "plane").train(clip=clip)
                # The plane's norm is a float64 sum, PyTorch's one in the parameters' dtype.
                for theirs, ours in zip(norms[:1], norms[2 * STEPS :]):
                    self.assertAlmostEqual(ours / theirs, 1, places=5 if "float32" in name else 2)
                self.assertAlmostEqual(plane.lion.gradient_norm, 0.1, places=5)

    def test_clip_grad_value(self) -> None:
        def clip(by: Accelerator, parameters: Any) -> None:
            by.clip_grad_value_(parameters, 1e-3)

        for name in MODELS:
            expected = self.plain(name).train(clip=clip)
            self.assertNotEqual(differing(expected.model.parameters(), self.plain(name).train().model.parameters()), 0)
            for way in ["step", "plane"]:
                with self.subTest(model=name, gradients=way):
                    self.assert_trained_alike(self.lions(name, way).train(clip=clip), expected)

    def test_stream_refuses_both_and_names_the_way_that_can(self) -> None:
        for clip in ["clip_grad_norm_", "clip_grad_value_"]:
            with self.subTest(clip=clip):
                made = self.lions("llama-float32", "stream", clip)
                with self.assertRaisesRegex(StateError, 'choose gradients="plane"'):
                    made.train(clip=lambda by, parameters: getattr(by, clip)(parameters, 0.1))
                with self.assertWarnsRegex(UserWarning, "given up"):
                    made.lion.zero_grad()


class AccumulationTest(AccelerateTest):
    def accumulated(self, made: Run, clip: float | None = None) -> Run:
        loader = made.accelerator.prepare(torch.utils.data.DataLoader(dataset(made.model, 40), batch_size=4))
        is_stream = isinstance(made.lion, Lion) and type(made.lion._gradients).__name__ == "Streamed"
        for batch in loader:
            with made.accelerator.accumulate(made.model):
                keeps = made.lion.accumulating() if is_stream and not made.accelerator.sync_gradients else nullcontext()
                with keeps:
                    made.accelerator.backward(made.model(**batch).loss)
                if clip is not None and made.accelerator.sync_gradients:
                    made.accelerator.clip_grad_norm_(made.model.parameters(), clip)
                made.optimizer.step()
                made.schedule.step()
                made.optimizer.zero_grad()
                made.rates.append(made.optimizer.param_groups[0]["lr"])
        return made

    def test_micro_batches_add_up_as_in_plain_pytorch(self) -> None:
        for name in MODELS:
            expected = self.accumulated(self.plain(name, gradient_accumulation_steps=3))
            for way in WAYS:
                with self.subTest(model=name, gradients=way):
                    made = self.accumulated(self.lions(name, way, gradient_accumulation_steps=3))
                    self.assertEqual(made.lion.steps, 4)  # the loader's last batch ends a step
                    self.assert_trained_alike(made, expected)

    def test_what_has_added_up_is_clipped_as_in_plain_pytorch(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                expected = self.accumulated(self.plain(name, gradient_accumulation_steps=3), clip=0.1)
                made = self.accumulated(self.lions(name, "step", gradient_accumulation_steps=3), clip=0.1)
                self.assert_trained_alike(made, expected)
                made = self.accumulated(self.lions(name, "plane", gradient_accumulation_steps=3), clip=0.1)
                self.assertAlmostEqual(made.lion.gradient_norm, 0.1, places=5)

    def test_stream_refuses_a_second_micro_batch_that_is_not_told_to_stay(self) -> None:
        made = self.lions("llama-float32", "stream", gradient_accumulation_steps=2)
        with self.stream_refuses(r"optimizer\.accumulating"):
            for batch in batches(made.model, 2):
                with made.accelerator.accumulate(made.model):
                    made.accelerator.backward(made.model(**batch).loss)
                    made.optimizer.step()
        with self.assertWarnsRegex(UserWarning, "given up"):
            made.lion.zero_grad()


class SkippedTest(AccelerateTest):
    def scaled(self, made: Run) -> Run:
        """As Accelerate prepares for fp16, which it does on GPUs alone."""
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        made.optimizer = AcceleratedOptimizer(made.lion, scaler=scaler)
        made.accelerator.scaler = scaler
        made.accelerator._optimizers = made.schedule.optimizers = [made.optimizer]
        return made

    def test_a_scaler_skips_steps_and_schedule_and_accelerate_sees_it(self) -> None:
        for name in ["llama-float32", "resnet-float32"]:
            ends = []
            for way in ["", "step", "plane"]:
                with self.subTest(model=name, gradients=way):
                    made = self.lions(name, way, lion={"fused": True}) if way else self.plain(name)
                    self.scaled(made)
                    seen = []
                    for number, batch in enumerate(batches(made.model, STEPS)):
                        made.optimizer.zero_grad()
                        loss = made.model(**batch).loss * (float("inf") if number == 2 else 1)
                        made.accelerator.backward(loss)
                        if number == 3:
                            made.optimizer.scaler.unscale_(made.lion)
                        made.optimizer.step()
                        seen.append(bool(made.accelerator.optimizer_step_was_skipped))
                        made.schedule.step()
                        made.rates.append(made.schedule.get_last_lr()[0])
                    self.assertEqual(seen, [number == 2 for number in range(STEPS)])
                    ends.append(made)
            for made in ends[1:]:
                self.assertEqual(made.lion.steps, STEPS - 1)
                self.assert_trained_alike(made, ends[0])

    def test_stream_refuses_a_scaler(self) -> None:
        made = self.scaled(self.lions("llama-float32", "stream"))
        with self.assertRaisesRegex(StateError, 'choose gradients="plane"'):
            made.train()
        with self.assertWarnsRegex(UserWarning, "given up"):
            made.lion.zero_grad()

    def test_without_a_scaler_only_the_optimizer_itself_says_that_a_step_was_skipped(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                made = self.lions("llama-float32", way).train(0, 2)
                made.optimizer.zero_grad()
                poisoned = made.model(**batches(made.model, 1)[0]).loss * float("nan")
                made.accelerator.backward(poisoned)
                with self.assertWarnsRegex(UserWarning, "skipped"):
                    made.optimizer.step()
                self.assertTrue(made.optimizer.optimizer.step_was_skipped)
                self.assertFalse(made.accelerator.optimizer_step_was_skipped)
                made.train(2, 3)
                self.assertFalse(made.lion.step_was_skipped)


class StateTest(AccelerateTest):
    def test_an_older_state_is_gone_back_to_and_forward_to_in_a_new_store(self) -> None:
        for name in MODELS:
            for way in WAYS:
                with self.subTest(model=name, gradients=way):
                    whole = self.lions(name, way, "whole").train(0, 3)
                    saved = whole.accelerator.save_state(f"{self.folder}/saved-{name}-{way}")
                    whole.train(3)
                    expected, rates = whole.lion.hash(), whole.rates[3:]
                    ends = copy.deepcopy(whole.model.state_dict())
                    self.assert_trained_alike(whole, self.plain(name).train())
                    new = self.lions(name, way, "new").train(0, 1)
                    for made in [whole, new]:
                        made.accelerator.load_state(saved)
                        self.assertEqual(made.lion.steps, 3)
                        made.rates.clear()
                        made.train(3)
                        self.assertEqual((made.lion.hash(), made.rates), (expected, rates))
                        self.assert_equal_tensors(ends.items(), made.model.state_dict().items())

    def test_a_state_goes_on_in_a_new_process(self) -> None:
        whole = self.lions("resnet-bfloat16", "step", "whole").train(0, 3)
        saved = str(whole.accelerator.save_state(f"{self.folder}/saved"))
        whole.train(3)
        printed = run(
            f"""
            from accelerate_suite import *
            torch.set_num_threads(1)
            model = MODELS["resnet-bfloat16"]()
            lion = Lion(model.parameters(), {self.folder + "/elsewhere"!r}, lr=1e-3, weight_decay=0.1, model=model)
            made = Run(model, lion)
            made.accelerator.load_state({saved!r})
            print("hash", made.train(3).lion.hash())
            """
        )
        self.assertIn(f"hash {whole.lion.hash()}", printed)

    def test_a_state_that_only_refers_to_the_store_is_refused_at_another_step(self) -> None:
        for name in ["llama-bfloat16", "resnet-float32"]:
            with self.subTest(model=name):
                made = self.lions(name, "step", lion={"full_state_dict": False}).train(0, 3)
                saved = made.accelerator.save_state(f"{self.folder}/saved-{name}")
                made.accelerator.load_state(saved)
                expected = made.train(3).lion.hash()
                with self.assertRaisesRegex(MismatchError, "is at step 6"):
                    made.accelerator.load_state(saved)
                self.assertEqual(made.lion.hash(), expected)

    def test_a_killed_run_resumes_with_accelerates_scheduler(self) -> None:
        for name in ["llama-bfloat16", "resnet-float32"]:
            for extra in [True, False]:
                for way in WAYS:
                    with self.subTest(model=name, gradients=way, extra=extra):
                        store = f"{self.folder}/{name}-{way}-{extra}"
                        script = f"""
                            import os
                            from accelerate_suite import *
                            Resumed({name!r}, {store!r}, {way!r}, {extra}).train(kill_at=3)
                            """
                        with self.assertRaisesRegex(AssertionError, "exit 9"):
                            run(script)
                        made = Resumed(name, store, way, extra)
                        self.addCleanup(made.lion.close)
                        made.train()
                        expected = self.plain(name).train()
                        self.assertEqual(made.lion.steps, STEPS)
                        self.assert_same(made.model, expected.model)
                        self.assertEqual(made.rates, expected.rates[-len(made.rates) :])


class Resumed(Run):
    """A run that goes on by itself, with what the store has."""

    def __init__(self, name: str, store: str, way: str, has_extra: bool) -> None:
        torch.set_num_threads(1)
        model = MODELS[name]()
        lion = Lion(model.parameters(), store, lr=1e-3, weight_decay=0.1, model=model, gradients=way)
        super().__init__(model, lion)
        self.has_extra = has_extra
        extra = lion.resume(self.schedule)
        self.first = extra.get("next", 0) if has_extra else lion.steps

    def train(self, kill_at: int | None = None, **_: Any) -> Resumed:  # type: ignore[override]
        for number in range(self.first, STEPS):
            batch = batches(self.model, STEPS)[number]
            self.optimizer.zero_grad()
            self.accelerator.backward(self.model(**batch).loss)
            if self.has_extra:
                self.lion.extra["next"] = number + 1
            self.optimizer.step()
            if number == kill_at:
                os._exit(9)
            self.schedule.step()
            self.rates.append(self.optimizer.param_groups[0]["lr"])
        return self


if __name__ == "__main__":
    unittest.main()
