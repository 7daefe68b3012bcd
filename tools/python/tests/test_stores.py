"""Stores and snapshots: whose they are, and what is refused."""

from __future__ import annotations

import copy
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from torch import nn

import lionstore
from lionstore import Lion
from cases import LionTest, run
from reference import network


class StoresTest(LionTest):
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
        with self.assertRaisesRegex(
            lionstore.MismatchError, 'store: its gradient plane is none, .* need f32: open it with gradients="stream", or'
        ):
            self.lion(network(torch.float32))

    def test_a_store_of_other_gradients_says_with_which_arguments_it_opens(self) -> None:
        for dtype, there, wanted, words in [
            (torch.bfloat16, {}, {"gradients": "stream"}, "is bf16, .* need none: .* gradient_dtype=torch.bfloat16"),
            (torch.bfloat16, {}, {"gradient_dtype": torch.float32}, "is bf16, .* need f32: .* gradient_dtype=torch.bfloat16"),
            (torch.bfloat16, {"gradient_dtype": torch.float32}, {}, "is f32, .* need bf16: .* gradient_dtype=torch.float32"),
        ]:
            with self.subTest(words):
                self.folder = tempfile.mkdtemp(dir=self.folder)
                self.lion(network(dtype), **there).close()
                with self.assertRaisesRegex(lionstore.MismatchError, words) as raised:
                    self.lion(network(dtype), **wanted)
                self.assertNotIn("another model", str(raised.exception))
                self.lion(network(dtype), **there)

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

    def test_a_store_that_tmpfs_has_no_room_for_is_refused_before_it_is_made(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm"))
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        # Memory that is not touched takes none; a store takes eight bytes for each of these.
        huge = nn.Parameter(torch.empty(free // 7, dtype=torch.bfloat16))
        with self.assertRaises(lionstore.NoSpaceError) as raised:
            Lion([("huge", huge)], store=f"{folder}/store")
        self.assertRegex(str(raised.exception), r"a store of \d+ bytes does not fit, \d+ bytes are free")
        self.assertIn("half of the RAM", str(raised.exception))
        self.assertRegex(str(raised.exception), r"mount -o remount,size=\d+M /dev/shm, or choose a disk")
        self.assertEqual(os.listdir(folder), [])

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
        path = optimizer.snapshot(f"{self.folder}/snapshots")
        self.assertEqual(optimizer.snapshot(f"{self.folder}/snapshots"), path)
        with torch.no_grad():
            model.wide.weight[0, 0] += 1
        with self.assertRaises(lionstore.ExistsError):
            optimizer.snapshot(f"{self.folder}/snapshots", wait=False)
        self.train(optimizer, model, 1)
        self.assertEqual(optimizer.steps, 1)

    def test_a_closed_run_that_is_started_again_finds_its_snapshot(self) -> None:
        model = nn.Sequential(network(torch.float32), nn.BatchNorm1d(2))
        optimizer = self.lion(model, model=model)
        self.train(optimizer, model[0])
        path = optimizer.snapshot(f"{self.folder}/snapshots")
        taken = {file.name: file.read_bytes() for file in Path(path).iterdir()}
        optimizer.close()
        for number in range(2):
            optimizer = self.lion(model, model=model)
            torch.rand(1)
            optimizer.resume()
            self.assertEqual(optimizer.snapshot(f"{self.folder}/snapshots"), path)
            self.assertEqual({file.name: file.read_bytes() for file in Path(path).iterdir()}, taken)
            optimizer.extra["run"] = number
            optimizer.close()
        model[1].running_mean.add_(1)
        optimizer = self.lion(model, model=model)
        model[1].running_mean.add_(1)
        optimizer.close()
        with self.assertRaisesRegex(lionstore.ExistsError, "holds another state"):
            self.lion(model, model=model).snapshot(f"{self.folder}/snapshots")

    def test_a_store_that_is_deleted_while_it_is_open_fails_the_next_step(self) -> None:
        for way in ["step", "plane", "stream"]:
            with self.subTest(way=way):
                model = network(torch.float32)
                optimizer = self.lion(model, way, gradients=way)
                self.train(optimizer, model, 1)
                shutil.rmtree(f"{self.folder}/{way}")
                with self.assertRaisesRegex(lionstore.FormatError, f"{way}/header: was deleted, moved or replaced"):
                    self.train(optimizer, model, 1)
                with self.assertRaises(lionstore.FormatError):
                    optimizer.close()

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


if __name__ == "__main__":
    unittest.main()
