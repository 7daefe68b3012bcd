"""Lion in Hugging Face's Trainer; not found by discovery, because Debian trixie has no transformers.

    tools/python/bin/test transformers_suite     # where python3 has torch, transformers and accelerate
"""

from __future__ import annotations

import shutil
import unittest
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import SchedulerType

from cases import run
from hugging_face import MODELS, At, PlainLion, TrainerTest, dataset, llama, rates, trainer
from lionstore import Lion, MismatchError, StateError
from lionstore.huggingface import SnapshotCallback, restore_checkpoint


class TrainingTest(TrainerTest):
    def assert_trains_as_plain(self, name: str, way: str, **arguments: Any) -> Lion:
        plain, model = MODELS[name](), MODELS[name]()
        self.train(plain, PlainLion(plain, weight_decay=0.1), **arguments)
        optimizer = self.lion(model, f"{name}-{way}-{len(arguments)}", gradients=way)
        self.train(model, optimizer, **arguments)
        self.assertEqual(optimizer.steps, 8)
        self.assertLess(optimizer.param_groups[0]["lr"], 1e-4)
        self.assert_same(model, plain)
        return optimizer

    def test_steps_and_schedules_as_lion_in_plain_pytorch(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                for way in ["step", "plane"]:
                    self.assert_trains_as_plain(name, way, max_grad_norm=1e9)

    def test_accumulates_as_lion_in_plain_pytorch(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                for way in ["step", "plane"]:
                    self.assert_trains_as_plain(name, way, gradient_accumulation_steps=3, max_grad_norm=1e9)

    def test_clips_as_lion_in_plain_pytorch(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                optimizer = self.assert_trains_as_plain(name, "step", max_grad_norm=0.1)
                self.assertLess(optimizer.gradient_norm, 0.1 + 1e-3)

    def test_the_plane_clips_to_the_norm(self) -> None:
        model = llama()
        optimizer = self.lion(model, "plane", gradients="plane")
        self.train(model, optimizer, max_grad_norm=0.1, gradient_accumulation_steps=2)
        self.assertAlmostEqual(optimizer.gradient_norm, 0.1, places=5)

    def test_autocast_and_checkpointed_layers_change_nothing(self) -> None:
        for way in ["step", "plane"]:
            for is_reentrant in [False, True]:
                with self.subTest(gradients=way, use_reentrant=is_reentrant):
                    self.setUp()
                    self.assert_trains_as_plain(
                        "llama-float32",
                        way,
                        bf16=True,
                        gradient_checkpointing=True,
                        gradient_checkpointing_kwargs={"use_reentrant": is_reentrant},
                        max_grad_norm=1e9,
                    )

    def test_stream_is_refused_by_name_because_trainer_always_asks_for_the_norm(self) -> None:
        model = llama()
        with self.assertRaisesRegex(StateError, 'choose gradients="plane"'):
            self.train(model, self.lion(model, "stream", gradients="stream"), max_grad_norm=0.0)

    def test_a_second_training_goes_on_with_the_first_ones_state(self) -> None:
        plain, model = llama(), llama()
        optimizer = self.lion(model, "store")
        for optimizer_of_it, each in [(PlainLion(plain, weight_decay=0.1), plain), (optimizer, model)]:
            made = trainer(self.folder, each, optimizer_of_it)
            made.train()
            made.train()
        self.assertEqual(optimizer.steps, 16)
        self.assert_same(model, plain)

    def test_a_skipped_first_step_is_no_scheduler_before_its_optimizer(self) -> None:
        def poison(model: Any, **_: Any) -> None:
            next(model.parameters()).grad.fill_(float("nan"))

        model = llama()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self.train(model, self.lion(model, "store"), callbacks=[At("on_pre_optimizer_step", 0, poison)])
        sentences = [str(each.message) for each in told]
        self.assertTrue(any("step 0 skipped" in each for each in sentences))
        self.assertFalse([each for each in sentences if "lr_scheduler.step()" in each])

    def test_evaluation_between_steps_changes_nothing(self) -> None:
        model, other = MODELS["resnet-bfloat16"](), MODELS["resnet-bfloat16"]()
        evaluated, whole = self.lion(model, "evaluated"), self.lion(other, "whole")
        self.train(model, evaluated, eval_strategy="steps", eval_steps=2, eval_dataset=dataset(model, 8))
        self.train(other, whole)
        self.assertEqual(evaluated.hash(), whole.hash())


class SkippedTest(TrainerTest):
    def poisoned(self, value: float) -> TrainerCallback:
        def poison(model: Any, **_: Any) -> None:
            next(model.parameters()).grad.fill_(value)

        return At("on_pre_optimizer_step", 2, poison)

    def test_a_step_with_a_gradient_that_is_not_finite_is_skipped_and_seen(self) -> None:
        for name in ["llama-float32", "resnet-bfloat16"]:
            with self.subTest(model=name):
                make = MODELS[name]
                for way in ["step", "plane"]:
                    for value in [float("nan"), float("inf")]:
                        model, seen = make(), []
                        optimizer = self.lion(model, f"{name}-{way}-{value}", gradients=way)
                        look = At("on_optimizer_step", 2, lambda **_: seen.append(optimizer.step_was_skipped))
                        with self.assertWarnsRegex(UserWarning, "step 2 skipped"):
                            self.train(model, optimizer, callbacks=[self.poisoned(value), look])
                        self.assertEqual((seen, optimizer.skipped_steps, optimizer.steps), ([True], 1, 7))
                        self.assertTrue(all(p.isfinite().all() for p in model.parameters()))

    def test_a_loss_that_is_not_finite_skips_whatever_the_filter_of_the_log_does(self) -> None:
        for is_filtered in [True, False]:
            model = llama()
            optimizer = self.lion(model, f"store-{is_filtered}")
            losses = iter([1.0, float("nan"), *[1.0] * 6])

            def loss(outputs: Any, labels: Any, **_: Any) -> torch.Tensor:
                scaled: torch.Tensor = outputs.logits.float().square().mean() * next(losses)
                return scaled

            with self.assertWarnsRegex(UserWarning, "step 1 skipped"):
                self.train(model, optimizer, compute_loss_func=loss, logging_nan_inf_filter=is_filtered)
            self.assertEqual((optimizer.skipped_steps, optimizer.steps), (1, 7))

    def test_a_skipped_step_is_resumed_over(self) -> None:
        model = llama(torch.bfloat16)
        whole = self.lion(model, "whole")
        with self.assertWarns(UserWarning):
            self.train(model, whole, callbacks=[self.poisoned(float("nan")), SnapshotCallback()])
        model = llama(torch.bfloat16)
        resumed = self.lion(model, "new")
        self.train(model, resumed, self.checkpoint(4))
        self.assertEqual((resumed.steps, resumed.hash()), (7, whole.hash()))
        restore_checkpoint(self.checkpoint(4), f"{self.folder}/restored")
        model = llama(torch.bfloat16)
        self.assertEqual(self.lion(model, "restored").steps, 3)


class ResumeTest(TrainerTest):
    def assert_is(self, whole: tuple[Trainer, str], resumed: Trainer) -> None:
        """A resumed run ended as the whole one."""
        optimizer = resumed.optimizer.optimizer
        self.assertEqual(optimizer.steps, 8)
        self.assertEqual(optimizer.hash(), whole[1])
        self.assert_same(resumed.model, whole[0].model)
        self.assertEqual(rates(resumed), rates(whole[0]))
        self.assertEqual(len(rates(resumed)), 8)

    def whole(self, name: str, **more: Any) -> tuple[Trainer, str]:
        model = MODELS[name]()
        optimizer = self.lion(model, f"{name}-whole", full_state_dict=more.pop("full_state_dict", None))
        made = self.train(model, optimizer, **more)
        return made, optimizer.hash()

    def test_an_older_checkpoint_goes_on_exactly_in_a_new_store_and_in_one_that_is_ahead(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                make = MODELS[name]
                whole = self.whole(name)
                whole[0].optimizer.optimizer.close()
                for store in ["new", "whole"]:
                    model = make()
                    optimizer = self.lion(model, f"{name}-{store}")
                    self.assertEqual(optimizer.steps, 8 if store == "whole" else 0)
                    self.assert_is(whole, self.train(model, optimizer, self.checkpoint(4)))

    def test_an_older_checkpoint_goes_on_exactly_in_the_process_that_went_further(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                make = MODELS[name]
                model = make()
                optimizer = self.lion(model, f"{name}-store")
                first = self.train(model, optimizer)
                whole = first, optimizer.hash()
                expected = {k: v.clone() for k, v in model.state_dict().items()}
                second = self.train(model, optimizer, self.checkpoint(4))
                self.assert_is(whole, second)
                self.assert_equal_tensors(expected.items(), model.state_dict().items())

    def test_every_schedule_of_transformers_goes_on_from_a_checkpoint(self) -> None:
        options: dict[str, dict[str, Any]] = {
            "warmup_stable_decay": {"num_decay_steps": 3},
            "cosine_with_min_lr": {"min_lr": 1e-5},
            "cosine_warmup_with_min_lr": {"min_lr": 1e-5},
        }
        for kind in SchedulerType:
            with self.subTest(schedule=kind.value):
                more: dict[str, Any] = {
                    "lr_scheduler_type": kind.value,
                    "lr_scheduler_kwargs": options.get(kind.value, {}),
                    "warmup_steps": 2,
                    "eval_strategy": "steps",
                    "eval_steps": 1,
                    "metric_for_best_model": "loss",
                }
                model = llama()
                more["eval_dataset"] = dataset(model, 4)
                optimizer = self.lion(model, f"{kind.value}-whole")
                made = self.train(model, optimizer, **more)
                whole = made, optimizer.hash()
                model = llama()
                optimizer = self.lion(model, f"{kind.value}-new")
                self.assert_is(whole, self.train(model, optimizer, self.checkpoint(4), **more))

    def test_an_optimizer_and_a_schedule_of_the_callers_go_on_from_a_checkpoint(self) -> None:
        ends = []
        for store, checkpoint in [("whole", None), ("new", self.checkpoint(4))]:
            model = llama(torch.bfloat16)
            optimizer = self.lion(model, store)
            made = trainer(self.folder, model)
            made.optimizer = optimizer
            made.lr_scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=9)
            made.train(resume_from_checkpoint=checkpoint)
            ends.append((made, optimizer.hash()))
        self.assert_is(ends[0], ends[1][0])

    def test_a_batch_that_is_too_large_is_tried_again_smaller(self) -> None:
        def train(model: Any, optimizer: torch.optim.Optimizer) -> None:
            failures = iter([True])

            def fail(**_: Any) -> None:
                if next(failures, False):
                    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

            made = self.train(
                model,
                optimizer,
                max_grad_norm=1e9,
                auto_find_batch_size=True,
                callbacks=[At("on_step_begin", 1, fail)],
            )
            self.assertLess(made._train_batch_size, 4)

        for way in ["step", "plane"]:
            plain, model = llama(), llama()
            train(plain, PlainLion(plain, weight_decay=0.1))
            optimizer = self.lion(model, way, gradients=way)
            train(model, optimizer)
            self.assertEqual(optimizer.steps, 9)  # one before the failure, and eight
            self.assert_same(model, plain)

    def test_a_checkpoint_of_other_groups_is_refused_and_changes_nothing(self) -> None:
        model = llama()
        self.train(model, self.lion(model, "store"))
        other = llama()
        named = [*other.named_parameters()]
        optimizer = Lion([{"params": named[:5]}, {"params": named[5:]}], f"{self.folder}/other", model=other)
        self.addCleanup(optimizer.close)
        with self.assertRaisesRegex(ValueError, "different number of parameter groups"):
            self.train(other, optimizer, self.checkpoint(4))
        self.assertEqual((optimizer.steps, len(optimizer.param_groups)), (0, 2))

    def test_a_killed_process_goes_on_from_its_last_checkpoint(self) -> None:
        for name in ["llama-bfloat16", "resnet-float32"]:
            with self.subTest(model=name):
                make = MODELS[name]
                whole = self.whole(name)
                for function, step in [("on_step_end", 6), ("on_pre_optimizer_step", 6), ("on_optimizer_step", 5)]:
                    store = f"{name}-{function}"
                    self.killed(name, store, function, step)
                    model = make()
                    optimizer = self.lion(model, store)
                    self.assertGreater(optimizer.steps, 4)
                    self.assert_is(whole, self.train(model, optimizer, True))

    def killed(self, name: str, store: str, function: str, step: int, **options: Any) -> None:
        """A process of its own trains, and ends without a word in a step."""
        shutil.rmtree(f"{self.folder}/trainer")
        done = run(
            f"""
            import os
            from hugging_face import *
            from lionstore.huggingface import SnapshotCallback
            torch.set_num_threads(1)
            model = MODELS[{name!r}]()
            optimizer = Lion(model.parameters(), {self.folder + "/" + store!r}, lr=1e-3, weight_decay=0.1, model=model,
                             **{options!r})
            kill = At({function!r}, {step}, lambda **_: (print("killed", flush=True), os._exit(0)))
            trainer({self.folder!r}, model, optimizer, callbacks=[kill, SnapshotCallback()]).train()
            """
        )
        self.assertIn("killed", done)

    def test_a_state_that_is_too_large_for_checkpoints_is_restored_from_their_snapshots(self) -> None:
        for name in ["llama-bfloat16", "resnet-float32"]:
            with self.subTest(model=name):
                make = MODELS[name]
                whole = self.whole(name)
                self.killed(name, f"{name}-large", "on_step_end", 6, full_state_dict=False)
                for store in ["large", "fresh"]:
                    model = make()
                    optimizer = self.lion(model, f"{name}-{store}", full_state_dict=False)
                    before = optimizer.steps, optimizer.hash()
                    with self.assertRaisesRegex(MismatchError, "carries no state.*Lion.restore.*not reached the store"):
                        self.train(model, optimizer, True)
                    self.assertEqual((optimizer.steps, optimizer.hash()), before)
                    optimizer.close()
                restore_checkpoint(f"{self.folder}/trainer", f"{self.folder}/{name}-large")
                self.assertTrue(Path(f"{self.folder}/{name}-large.replaced").is_dir())
                model = make()
                optimizer = self.lion(model, f"{name}-large", full_state_dict=False)
                self.assertEqual(optimizer.steps, 4)
                self.assert_is(whole, self.train(model, optimizer, True))


if __name__ == "__main__":
    unittest.main()
