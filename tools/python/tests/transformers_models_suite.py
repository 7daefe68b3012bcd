"""What Trainer leaves: snapshots, the best model, and optimizers that it has made itself; see transformers_suite."""

from __future__ import annotations

import os
import shutil
import unittest
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import Trainer

from hugging_face import MODELS, At, PlainLion, TrainerTest, dataset, llama, outputs, rates, resnet, trainer
from lionstore import ArgumentError, BusyError, Lion, MissingError
from lionstore.huggingface import SnapshotCallback, TrainersLion, restore_checkpoint


class SnapshotTest(TrainerTest):
    def test_from_pretrained_opens_a_snapshot_and_computes_the_same(self) -> None:
        for name in MODELS:
            with self.subTest(model=name):
                model = MODELS[name]()
                optimizer = self.lion(model, name, model_files=self.files_of(model))
                self.train(model, optimizer)
                snapshot = optimizer.snapshot(f"{self.folder}/snapshots-{name}")
                expected = outputs(model)
                if model.dtype is torch.bfloat16:
                    opened = type(model).from_pretrained(snapshot, dtype=torch.bfloat16)
                    self.assertTrue(torch.equal(outputs(opened), expected))
                    self.assert_same(opened, model)
                self.assert_opens_as(snapshot, model)

    def test_a_snapshot_has_batch_norms_statistics_in_their_own_dtype(self) -> None:
        model = resnet()
        optimizer = self.lion(model, "store", model_files=self.files_of(model))
        self.train(model, optimizer)
        written = load_file(f"{optimizer.snapshot(self.folder + '/snapshots')}/model.safetensors")
        statistics = dict(model.named_buffers())
        self.assertGreater(len(statistics), 6)
        self.assert_equal_tensors(statistics.items(), ((name, written[name]) for name in statistics))
        self.assertFalse(torch.equal(next(iter(statistics.values())), torch.zeros(8)))

    def test_a_snapshot_warns_of_parameters_that_the_optimizer_has_not_got(self) -> None:
        model = llama()
        model.model.layers[0].requires_grad_(False)
        trained = [p for p in model.parameters() if p.requires_grad]
        part = Lion(trained, f"{self.folder}/part", model=model)
        with self.assertWarnsRegex(UserWarning, r"lacks 9 parameters .*model\.layers\.0\."):
            part.snapshot(f"{self.folder}/part-snapshots")
        part.close()
        with warnings.catch_warnings(action="error"):
            self.lion(model, "all").snapshot(f"{self.folder}/snapshots")

    def test_a_relative_folder_of_trainers_keeps_its_snapshots(self) -> None:
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        model = llama()
        optimizer = self.lion(model, "store")
        made = trainer(".", model, optimizer, callbacks=[SnapshotCallback()])
        made.train()
        for step in [4, 8]:
            (snapshot,) = Path(f"trainer/checkpoint-{step}").glob("lionstore/*")
            self.assertTrue((snapshot / "manifest.json").is_file())

    def test_two_callbacks_take_one_snapshot(self) -> None:
        model = llama()
        optimizer = self.lion(model, "store")
        self.train(model, optimizer, callbacks=[SnapshotCallback(), SnapshotCallback()])
        for step in [4, 8]:
            (snapshot,) = Path(self.checkpoint(step)).glob("lionstore/*")
            self.assertEqual(snapshot.name, f"step-{step:012d}")
        restore_checkpoint(f"{self.folder}/trainer", f"{self.folder}/again")
        self.assertEqual(self.lion_alone("again").hash(), optimizer.hash())

    def lion_alone(self, name: str) -> Lion:
        return self.lion(llama(), name)

    def test_a_run_into_a_folder_of_another_run_leaves_no_snapshot_of_that(self) -> None:
        def poison(model: Any, **_: Any) -> None:
            next(model.parameters()).grad.fill_(float("nan"))

        for name, more in [("first", []), ("other", []), ("skips", [At("on_pre_optimizer_step", 1, poison)])]:
            model = llama()
            optimizer = self.lion(model, name, lr=1e-3 if name == "first" else 2e-3)
            with warnings.catch_warnings(action="ignore"):
                self.train(model, optimizer, callbacks=[SnapshotCallback(), *more])
            restore_checkpoint(self.checkpoint(8), f"{self.folder}/{name}-restored")
            self.assertEqual(self.lion_alone(f"{name}-restored").hash(), optimizer.hash())

    def test_rotated_checkpoints_take_their_snapshots_along(self) -> None:
        model = llama()
        optimizer = self.lion(model, "store")
        self.train(model, optimizer, save_steps=2, save_total_limit=2, callbacks=[SnapshotCallback()])
        left = sorted(path.parent.parent.name for path in Path(self.folder).glob("trainer/*/lionstore/*"))
        self.assertEqual(left, ["checkpoint-6", "checkpoint-8"])
        shutil.rmtree(f"{self.checkpoint(8)}/lionstore")  # as a kill between the two leaves it
        restore_checkpoint(f"{self.folder}/trainer", f"{self.folder}/again")
        self.assertEqual(self.lion_alone("again").steps, 6)
        with self.assertRaisesRegex(MissingError, "checkpoint-8 has no snapshot"):
            restore_checkpoint(self.checkpoint(8), f"{self.folder}/never")

    def test_the_callback_wants_lion(self) -> None:
        model = llama()
        with self.assertRaisesRegex(ArgumentError, "Trainer's optimizer is a PlainLion, expected lionstore.Lion"):
            self.train(model, PlainLion(model), callbacks=[SnapshotCallback()])


class BestModelTest(TrainerTest):
    def test_what_trainer_has_at_the_end_is_snapshotted_reopened_and_trained_on(self) -> None:
        for name in MODELS:
            for way in ["step", "plane"]:
                with self.subTest(model=name, gradients=way):
                    self.setUp()
                    model = MODELS[name]()
                    optimizer = self.lion(model, "store", gradients=way, model_files=self.files_of(model))
                    scores = iter([0.1, 0.9, 0.5, 0.3])
                    made = self.train(
                        model,
                        optimizer,
                        eval_dataset=dataset(model, 4),
                        compute_metrics=lambda _: {"score": next(scores)},
                        metric_for_best_model="score",
                        load_best_model_at_end=True,
                        eval_strategy="steps",
                        eval_steps=2,
                        save_steps=2,
                    )
                    self.assertEqual(made.state.best_model_checkpoint, self.checkpoint(4))
                    best = load_file(f"{self.checkpoint(4)}/model.safetensors")
                    now = model.state_dict()
                    self.assert_equal_tensors(best.items(), ((key, now[key]) for key in best))
                    snapshot, expected = optimizer.snapshot(f"{self.folder}/snapshots"), optimizer.hash()
                    optimizer.close()
                    again = MODELS[name]()
                    reopened = self.lion(again, "store")
                    self.assertEqual(reopened.hash(), expected)
                    self.assert_same(again, model)
                    Lion.restore(snapshot, f"{self.folder}/restored")
                    self.assertEqual(self.lion(MODELS[name](), "restored").hash(), expected)
                    self.assert_opens_as(snapshot, model)
                    self.train(again, reopened, max_steps=2)
                    self.assertEqual(reopened.steps, 10)


class OptimizerClassTest(TrainerTest):
    """Trainer makes the optimizer itself, after it has loaded a checkpoint's model."""

    def made(self, model: Any, kind: str, store: str) -> Any:
        options = {"store": f"{self.folder}/{store}", "lr": 1e-3, "weight_decay": 0.1}
        return (Lion, {"model": model, **options}) if kind == "Lion" else (TrainersLion, options)

    def run_with(self, name: str, kind: str, store: str, checkpoint: Any = None) -> Trainer:
        model = MODELS[name]()
        trained = self.train(
            model, None, checkpoint, optimizer_cls_and_kwargs=self.made(model, kind, store)
        )
        self.addCleanup(trained.optimizer.optimizer.close)
        return trained

    def test_an_older_checkpoint_goes_on_exactly_in_a_new_store_and_in_one_that_is_ahead(self) -> None:
        for name in MODELS:
            for kind in ["Lion", "TrainersLion"]:
                with self.subTest(model=name, optimizer=kind):
                    self.setUp()
                    whole = self.run_with(name, kind, "ahead")
                    expected = whole.optimizer.optimizer.hash()
                    whole.optimizer.optimizer.close()
                    for store in ["ahead", "new"]:
                        resumed = self.run_with(name, kind, store, self.checkpoint(4))
                        optimizer = resumed.optimizer.optimizer
                        self.assertEqual((optimizer.steps, optimizer.hash()), (8, expected))
                        self.assert_same(resumed.model, whole.model)
                        self.assertEqual(rates(resumed), rates(whole))
                        optimizer.close()

    def test_trainers_own_groups_decay_neither_norms_nor_biases(self) -> None:
        trained = self.run_with("llama-float32", "TrainersLion", "store")
        decaying, others = trained.optimizer.param_groups
        self.assertEqual((decaying["weight_decay"], others["weight_decay"]), (0.1, 0.0))
        self.assertTrue(all("norm" in name for name in others["param_names"]))
        self.assertEqual((len(decaying["param_names"]), len(others["param_names"])), (15, 5))
        (group,) = self.run_with("llama-float32", "Lion", "other").optimizer.param_groups
        self.assertEqual((group["weight_decay"], len(group["param_names"])), (0.1, 20))

    def test_groups_as_create_optimizer_makes_them_have_the_models_names(self) -> None:
        folder = self.folder

        class Own(Trainer):
            def get_optimizer_cls_and_kwargs(self, args: Any, model: Any = None) -> Any:  # type: ignore[override]
                class Named(Lion):
                    def __init__(self, params: Any, **options: Any) -> None:
                        super().__init__(params, f"{folder}/own", model=model, **options)

                return Named, {"lr": 1e-3}

        model = llama()
        arguments = trainer(self.folder, model, weight_decay=0.1).args
        own = Own(model, arguments, train_dataset=dataset(model))
        own.train()
        optimizer = own.optimizer.optimizer
        self.addCleanup(optimizer.close)
        self.assertEqual([group["weight_decay"] for group in optimizer.param_groups], [0.1, 0.0])
        self.assertEqual(
            {name for group in optimizer.param_groups for name in group["param_names"]},
            {name for name, _ in model.named_parameters()},
        )

    def test_frozen_parameters_are_in_the_snapshot(self) -> None:
        for kind in ["Lion", "TrainersLion"]:
            with self.subTest(optimizer=kind):
                model = llama(torch.bfloat16)
                model.model.embed_tokens.requires_grad_(False)
                cls, options = self.made(model, kind, kind)
                options["model_files"] = self.files_of(model)
                trained = self.train(model, None, optimizer_cls_and_kwargs=(cls, options))
                optimizer = trained.optimizer.optimizer
                self.assert_opens_as(optimizer.snapshot(f"{self.folder}/snapshots-{kind}"), model)
                optimizer.close()

    def test_a_class_without_the_model_is_refused_with_what_to_write(self) -> None:
        with self.assertRaisesRegex(ArgumentError, "add model=model"):
            self.train(llama(), None, optimizer_cls_and_kwargs=(Lion, {"store": f"{self.folder}/store"}))

    def test_a_model_made_anew_finds_the_store_busy_until_it_is_closed(self) -> None:
        options = {"store": f"{self.folder}/store", "lr": 1e-3}
        made = trainer(self.folder, None, model_init=llama, optimizer_cls_and_kwargs=(TrainersLion, options))
        made.train()
        first = made.optimizer.optimizer
        with self.assertRaises(BusyError):
            made.train()
        first.close()
        shutil.rmtree(options["store"])
        made.train()
        self.addCleanup(made.optimizer.optimizer.close)
        self.assertEqual(made.optimizer.optimizer.steps, 8)


if __name__ == "__main__":
    unittest.main()
