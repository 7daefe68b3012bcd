"""What the tests with Hugging Face's libraries share: small models, their data, and Lion in plain PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable, Iterable

import torch
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from cases import StreamTest
from lionstore import Lion
from reference import Reference, bits, rounded

LLAMA = LlamaConfig(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
    tie_word_embeddings=True,
)
RESNET = ResNetConfig(
    num_channels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5
)


def llama(dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(1)
    # Not to(dtype), which rounds the rotary frequencies; from_pretrained does not.
    made: PreTrainedModel = LlamaForCausalLM._from_config(LLAMA, dtype=dtype)
    return made


def resnet(dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A model with batch norm: what it computes depends on buffers that are not trained."""
    torch.manual_seed(1)
    return ResNetForImageClassification(RESNET).to(dtype)


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    f"{make.__name__}-{str(dtype)[6:]}": lambda make=make, dtype=dtype: make(dtype)  # type: ignore[misc]
    for make in (llama, resnet)
    for dtype in (torch.float32, torch.bfloat16)
}
"""Each with the same values at every call."""


def dataset(model: PreTrainedModel, count: int = 64) -> list[dict[str, torch.Tensor]]:
    """Random rows, so that there is always a gradient."""
    generator = torch.Generator().manual_seed(2)
    if isinstance(model, LlamaForCausalLM):
        rows = [torch.randint(0, 97, (16,), generator=generator) for _ in range(count)]
        return [{"input_ids": row, "labels": row} for row in rows]
    images = [torch.randn(3, 32, 32, generator=generator) + 1 for _ in range(count)]
    return [
        {"pixel_values": image.to(model.dtype), "labels": torch.tensor(number % 5)}
        for number, image in enumerate(images)
    ]


def batches(model: PreTrainedModel, count: int, size: int = 4) -> list[dict[str, torch.Tensor]]:
    rows = dataset(model, count * size)
    return [
        {key: torch.stack([row[key] for row in rows[at : at + size]]) for key in rows[0]}
        for at in range(0, count * size, size)
    ]


def outputs(model: PreTrainedModel) -> torch.Tensor:
    """What a model computes in evaluation, where batch norm uses its running statistics."""
    model.eval()
    (batch,) = batches(model, 1)
    with torch.no_grad():
        logits: torch.Tensor = model(**batch).logits
    return logits


@torch.no_grad()
def as_in_a_snapshot(model: PreTrainedModel) -> PreTrainedModel:
    """The model with the bfloat16 weights that a snapshot has; buffers stay as they are."""
    for parameter in model.parameters():
        parameter.copy_(rounded(parameter.detach().float()))
    return model


class PlainLion(torch.optim.Optimizer):
    """Lion in PyTorch's own operations, where an optimizer is wanted."""

    def __init__(self, model: nn.Module, **defaults: Any) -> None:
        defaults = {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.0, **defaults}
        super().__init__(model.parameters(), defaults)
        self.reference = Reference(model)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.reference.step(lambda name: self.param_groups[0])


class HuggingFaceTest(StreamTest):
    """Has a folder, makes optimizers, and compares models bit for bit."""

    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm"))

    def lion(self, model: PreTrainedModel, name: str, **options: Any) -> Lion:
        options = {"lr": 1e-3, "weight_decay": 0.1, **options}
        optimizer = Lion(model.parameters(), f"{self.folder}/{name}", model=model, **options)
        self.addCleanup(optimizer.close)
        return optimizer

    def files_of(self, model: PreTrainedModel) -> str:
        """A folder with the model's configuration, for snapshots."""
        folder = Path(self.folder) / "files" / type(model).__name__ / str(model.dtype)
        model.config.save_pretrained(folder)
        return str(folder)

    def assert_same(self, left: nn.Module, right: nn.Module) -> None:
        """Parameters and buffers are equal in every bit."""
        self.assert_equal_tensors(left.state_dict().items(), right.state_dict().items())

    def assert_equal_tensors(
        self, left: Iterable[tuple[str, torch.Tensor]], right: Iterable[tuple[str, torch.Tensor]]
    ) -> None:
        for (name, one), (other_name, other) in zip(left, right, strict=True):
            self.assertEqual((name, one.dtype, one.shape), (other_name, other.dtype, other.shape))
            is_equal = torch.equal(bits(one), bits(other)) if one.is_floating_point() else torch.equal(one, other)
            self.assertTrue(is_equal, f"{name} differs")

    def assert_opens_as(self, snapshot: str | None, model: PreTrainedModel) -> None:
        """``from_pretrained`` of a snapshot computes what the model does, with bfloat16 weights."""
        assert snapshot is not None
        opened, told = type(model).from_pretrained(snapshot, dtype=model.dtype, output_loading_info=True)
        self.assertFalse(told["missing_keys"] or told["unexpected_keys"] or told["mismatched_keys"], told)
        self.assertTrue(torch.equal(outputs(opened), outputs(as_in_a_snapshot(model))))


class At(TrainerCallback):
    """Does something at a step, when Trainer calls a function."""

    def __init__(self, function: str, step: int, do: Any) -> None:
        self._step, self._do = step, do
        setattr(self, function, self._maybe)

    def _maybe(self, args: Any, state: Any, control: Any, **more: Any) -> Any:
        # global_step counts the steps that have ended.
        if state.global_step == self._step:
            self._do(control=control, **more)
        return control


def end(control: Any, **_: Any) -> None:
    """Ends training, as if the process had."""
    control.should_training_stop = True


def trainer(
    folder: str, model: PreTrainedModel | None, optimizer: torch.optim.Optimizer | None = None, **more: Any
) -> Trainer:
    """Eight steps, a checkpoint after each fourth."""
    keywords = {k: more.pop(k) for k in [*more] if k in _OF_TRAINER}
    arguments = {
        "max_steps": 8,
        "save_steps": 4,
        "per_device_train_batch_size": 4,
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        **more,
    }
    return Trainer(
        model,
        TrainingArguments(
            output_dir=f"{folder}/trainer", report_to=[], disable_tqdm=True, use_cpu=True, **arguments
        ),
        train_dataset=dataset(model or keywords["model_init"]()),
        optimizers=(optimizer, None),
        **keywords,
    )


_OF_TRAINER = {
    "callbacks", "eval_dataset", "compute_metrics", "compute_loss_func", "optimizer_cls_and_kwargs", "model_init"
}


def rates(of: Trainer) -> list[float]:
    return [entry["learning_rate"] for entry in of.state.log_history if "learning_rate" in entry]


class TrainerTest(HuggingFaceTest):
    def train(
        self, model: PreTrainedModel, optimizer: torch.optim.Optimizer | None, checkpoint: Any = None, **more: Any
    ) -> Trainer:
        made = trainer(self.folder, model, optimizer, **more)
        made.train(resume_from_checkpoint=checkpoint)
        return made

    def checkpoint(self, step: int) -> str:
        return f"{self.folder}/trainer/checkpoint-{step}"
