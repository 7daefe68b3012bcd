"""Lion in Hugging Face's Trainer; not found by discovery, because Debian trixie has no transformers.

    tools/python/bin/test transformers_suite     # where python3 has torch, transformers and accelerate
"""

from __future__ import annotations

import tempfile
import unittest
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from lionstore import Lion, MismatchError
from reference import differing


def llama(dtype: torch.dtype) -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).to(dtype)


def dataset() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(2)
    rows = [torch.randint(0, 97, (16,), generator=generator) for _ in range(64)]
    return [{"input_ids": row, "labels": row} for row in rows]


class EndAt(TrainerCallback):
    """Ends training after a step, as if the process had."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        control.should_training_stop = state.global_step == self._step
        return control


class TrainerTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def train(
        self,
        model: LlamaForCausalLM,
        optimizer: torch.optim.Optimizer,
        end_at: int | None = None,
        checkpoint: str | None = None,
        **more: Any,
    ) -> None:
        arguments = TrainingArguments(
            output_dir=f"{self.folder}/trainer",
            max_steps=8,
            save_steps=4,
            per_device_train_batch_size=4,
            lr_scheduler_type="cosine",
            report_to=[],
            save_strategy="steps",
            disable_tqdm=True,
            use_cpu=True,
            **more,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=dataset(),
            optimizers=(optimizer, None),
            callbacks=[] if end_at is None else [EndAt(end_at)],
        )
        trainer.train(resume_from_checkpoint=checkpoint)

    def lion(self, model: LlamaForCausalLM, name: str, **options: Any) -> Lion:
        optimizer = Lion(
            model.parameters(), f"{self.folder}/{name}", lr=1e-3, model=model, **options
        )
        self.addCleanup(optimizer.close)
        return optimizer

    def test_trainer_steps_clips_accumulates_and_schedules(self) -> None:
        for way in ["step", "plane"]:
            with self.subTest(gradients=way):
                model = llama(torch.float32)
                optimizer = self.lion(model, way, gradients=way)
                self.train(model, optimizer, gradient_accumulation_steps=2, max_grad_norm=0.1)
                self.assertEqual(optimizer.steps, 8)
                self.assertLess(optimizer.gradient_norm, 0.1 + 1e-6)
                self.assertLess(optimizer.param_groups[0]["lr"], 1e-4)

    def test_a_snapshot_is_opened_by_transformers_with_equal_bits(self) -> None:
        model = llama(torch.bfloat16)
        model.config.save_pretrained(f"{self.folder}/files")
        optimizer = self.lion(model, "store", model_files=f"{self.folder}/files")
        self.train(model, optimizer)
        path = optimizer.snapshot(f"{self.folder}/snapshots")
        opened = LlamaForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
        self.assertEqual(differing(model.parameters(), opened.parameters()), 0)

    def test_resume_from_checkpoint_goes_on_exactly_where_the_store_is_at_its_step(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            with self.subTest(dtype=dtype):
                model = llama(dtype)
                whole = self.lion(model, f"whole-{dtype}")
                self.train(model, whole)
                model = llama(dtype)
                part = self.lion(model, f"part-{dtype}")
                self.train(model, part, end_at=4)
                snapshot = part.snapshot(f"{self.folder}/snapshots-{dtype}")
                part.close()
                Lion.restore(snapshot, f"{self.folder}/restored-{dtype}")
                for name in [f"part-{dtype}", f"restored-{dtype}"]:
                    model = llama(dtype)
                    resumed = self.lion(model, name)
                    self.train(model, resumed, checkpoint=f"{self.folder}/trainer/checkpoint-4")
                    self.assertEqual((resumed.steps, resumed.hash()), (8, whole.hash()))

    def test_resume_from_a_checkpoint_of_another_step_is_refused(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            with self.subTest(dtype=dtype):
                model = llama(dtype)
                optimizer = self.lion(model, f"store-{dtype}")
                self.train(model, optimizer, end_at=5)
                expected = optimizer.hash()
                with self.assertRaisesRegex(
                    MismatchError,
                    "step 4 .* is at step 5.*resume_from_checkpoint.*not reached the store",
                ):
                    self.train(model, optimizer, checkpoint=f"{self.folder}/trainer/checkpoint-4")
                self.assertEqual(optimizer.hash(), expected)
                optimizer.take_over_changes()
                self.assertEqual(optimizer.hash(), expected)


if __name__ == "__main__":
    unittest.main()
