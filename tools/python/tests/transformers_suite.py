"""Lion in Hugging Face's Trainer; not found by discovery, because Debian trixie has no transformers.

    tools/python/bin/test transformers_suite     # where python3 has torch, transformers and accelerate
"""

from __future__ import annotations

import tempfile
import unittest
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from lionstore import Lion
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


class TrainerTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def train(self, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, **more: Any) -> None:
        arguments = TrainingArguments(
            output_dir=f"{self.folder}/trainer",
            max_steps=8,
            per_device_train_batch_size=4,
            lr_scheduler_type="cosine",
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            **more,
        )
        Trainer(model, arguments, train_dataset=dataset(), optimizers=(optimizer, None)).train()

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
        optimizer = self.lion(model, "store")
        self.train(model, optimizer)
        path = optimizer.snapshot(f"{self.folder}/snapshots")
        model.config.save_pretrained(path)
        opened = LlamaForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
        self.assertEqual(differing(model.parameters(), opened.parameters()), 0)


if __name__ == "__main__":
    unittest.main()
