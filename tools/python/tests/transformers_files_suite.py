"""Models that transformers keeps otherwise in memory than in files: fused experts, other names."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Callable
from unittest import mock

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Ernie4_5_MoeConfig,
    Ernie4_5_MoeForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    ViTConfig,
    ViTForImageClassification,
    core_model_loading,
)

from cases import WAYS
from hugging_face import HuggingFaceTest, PlainLion, as_in_a_snapshot
from lionstore import Lion, MismatchError
from reference import bits

SMALL: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def qwen(**options: Any) -> PreTrainedModel:
    config = Qwen3MoeConfig(
        **SMALL, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2, head_dim=8, tie_word_embeddings=True
    )
    return Qwen3MoeForCausalLM._from_config(config, **options)


def mixtral(**options: Any) -> PreTrainedModel:
    return MixtralForCausalLM._from_config(MixtralConfig(**SMALL, num_local_experts=3), **options)


def ernie(**options: Any) -> PreTrainedModel:
    """Its routers have a buffer."""
    config = Ernie4_5_MoeConfig(**SMALL, moe_intermediate_size=16, moe_num_experts=4, moe_k=2)
    return Ernie4_5_MoeForCausalLM._from_config(config, **options)


def vit(**options: Any) -> PreTrainedModel:
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=8
    )
    return ViTForImageClassification._from_config(config, **options)


FAMILIES = [qwen, mixtral, ernie, vit]
FUSED = [qwen, mixtral, ernie]


def made(family: Callable[..., PreTrainedModel], dtype: torch.dtype) -> PreTrainedModel:
    torch.manual_seed(1)
    return family(dtype=dtype).eval()


def loss_of(model: PreTrainedModel, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if isinstance(model, ViTForImageClassification):
        pixels = torch.randn(2, 3, 16, 16, generator=generator).to(model.dtype)
        return model(pixel_values=pixels, labels=torch.tensor([0, 1])).loss
    tokens = torch.randint(0, 97, (2, 12), generator=generator)
    return model(input_ids=tokens, labels=tokens).loss


def train(model: PreTrainedModel, optimizer: torch.optim.Optimizer, steps: range = range(3)) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()


class FilesTest(HuggingFaceTest):
    def in_files(self, model: PreTrainedModel, name: str = "saved") -> dict[str, torch.Tensor]:
        """What ``save_pretrained`` writes."""
        model.save_pretrained(f"{self.folder}/{name}")
        return load_file(f"{self.folder}/{name}/model.safetensors")

    def test_a_snapshot_has_the_files_that_save_pretrained_writes(self) -> None:
        for family, dtype in itertools.product(FAMILIES, [torch.float32, torch.bfloat16]):
            with self.subTest(family=family.__name__, dtype=dtype):
                name = f"{family.__name__}-{dtype}"
                model = made(family, dtype)
                optimizer = self.lion(model, name, model_files=self.files_of(model))
                train(model, optimizer)
                snapshot = optimizer.snapshot(f"{self.folder}/{name}-snapshots")
                loss = loss_of(as_in_a_snapshot(model), 9)
                expected = self.in_files(model, f"{name}-saved")
                found = load_file(f"{snapshot}/model.safetensors")
                buffers = {n: t for n, t in found.items() if n in expected and t.dtype is expected[n].dtype}
                self.assertEqual(sorted(found), sorted(expected))
                for tensor in expected:
                    right = expected[tensor] if tensor in buffers else expected[tensor].bfloat16()
                    self.assertTrue(torch.equal(found[tensor], right), tensor)
                opened, told = type(model).from_pretrained(snapshot, dtype=dtype, output_loading_info=True)
                self.assertFalse(told["missing_keys"] or told["unexpected_keys"] or told["mismatched_keys"], told)
                self.assertTrue(torch.equal(loss_of(opened.eval(), 9), loss))

    def test_each_way_takes_the_steps_that_plain_pytorch_takes(self) -> None:
        for family, dtype, way in itertools.product(FUSED, [torch.float32, torch.bfloat16], WAYS):
            with self.subTest(family=family.__name__, dtype=dtype, way=way):
                model, plain = made(family, dtype), made(family, dtype)
                optimizer = self.lion(model, f"{family.__name__}-{dtype}-{way}", gradients=way)
                right = PlainLion(plain, lr=1e-3, weight_decay=0.1)
                train(model, optimizer)
                train(plain, right)
                self.assert_same(model, plain)
                for name, parameter in model.named_parameters():
                    self.assertTrue(
                        torch.equal(optimizer.momentum(parameter).bfloat16(), right.reference.momenta[name]), name
                    )

    def test_a_run_goes_on_and_takes_over_what_was_written(self) -> None:
        for family in FUSED:
            with self.subTest(family=family.__name__):
                model, plain = made(family, torch.bfloat16), made(family, torch.bfloat16)
                right = PlainLion(plain, lr=1e-3, weight_decay=0.1)
                name = f"{family.__name__}-on"
                optimizer = self.lion(model, name)
                train(model, optimizer)
                train(plain, right)
                optimizer.close()
                model = made(family, torch.bfloat16)
                optimizer = self.lion(model, name)
                fused = [n for n, p in model.named_parameters() if n.endswith("gate_up_proj")][0]
                for each in (model, plain):
                    with torch.no_grad():
                        each.get_parameter(fused)[1, 3] = 0.5
                right.reference.masters[fused][1, 3] = 0.5
                train(model, optimizer, range(3, 6))
                train(plain, right, range(3, 6))
                self.assert_same(model, plain)

    def test_gradients_in_the_plane_answer_as_one(self) -> None:
        model, plain = made(qwen, torch.float32), made(qwen, torch.float32)
        optimizer = self.lion(model, "plane", gradients="plane")
        for each in (model, plain):
            loss_of(each, 1).backward()
            loss_of(each, 2).backward()
        norms = [torch.nn.utils.clip_grad_norm_(each.parameters(), 0.01) for each in (model, plain)]
        self.assertTrue(torch.allclose(*norms, rtol=1e-6))
        for (name, left), right in zip(model.named_parameters(), plain.parameters()):
            self.assertTrue(torch.allclose(left.grad.clone(), right.grad, rtol=1e-5, atol=0), name)
        optimizer.step()

    def test_state_dicts_have_parameters_as_they_are_in_memory(self) -> None:
        model = made(mixtral, torch.bfloat16)
        optimizer = self.lion(model, "first")
        train(model, optimizer)
        state = optimizer.state_dict(full=True)
        other = made(mixtral, torch.bfloat16)
        second = self.lion(other, "second")
        other.load_state_dict(model.state_dict())
        second.load_state_dict(state)
        self.assertEqual(second.hash(), optimizer.hash())
        for parameter in model.parameters():
            self.assertEqual(optimizer.state[parameter]["exp_avg"].shape, parameter.shape)

    def test_a_store_that_was_made_of_files_opens(self) -> None:
        for family in FAMILIES:
            with self.subTest(family=family.__name__):
                model = made(family, torch.float32)
                saved = self.in_files(model)
                parameters = {n: nn.Parameter(t, "moe_statics" not in n) for n, t in saved.items()}
                path = f"{self.folder}/{family.__name__}-files"
                Lion(parameters.items(), path).close()
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.zero_()
                optimizer = self.lion(model, f"{family.__name__}-files")
                again = self.in_files(model)
                self.assertEqual({n for n in again}, {n for n in saved})
                for name, tensor in parameters.items():
                    self.assertTrue(torch.equal(again[name], tensor), name)
                train(model, optimizer)

    def test_a_store_with_the_names_of_memory_still_opens(self) -> None:
        for family in FUSED:
            model, plain = made(family, torch.float32), made(family, torch.float32)
            Lion(list(model.named_parameters()), f"{self.folder}/{family.__name__}-old").close()
            optimizer = self.lion(model, f"{family.__name__}-old")
            right = PlainLion(plain, lr=1e-3, weight_decay=0.1)
            train(model, optimizer)
            train(plain, right)
            self.assert_same(model, plain)
            optimizer.param_groups[0]["params"][0].requires_grad_(False)
            optimizer.update_layout()
            train(model, optimizer)

    def test_another_number_of_experts_is_refused_by_the_names_in_the_files(self) -> None:
        self.lion(made(mixtral, torch.float32), "store").close()
        config = MixtralConfig(**SMALL, num_local_experts=4)
        with self.assertRaisesRegex(MismatchError, r"experts\.3\.w1\.weight is not in the store"):
            self.lion(MixtralForCausalLM(config), "store")

    def test_a_store_opens_whatever_folder_its_model_was_loaded_from(self) -> None:
        model = made(qwen, torch.float32)
        self.lion(model, "store").close()
        folder = Path(self.folder) / "fused"
        model.config.save_pretrained(folder)
        fused = {name: tensor.clone() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
        save_file(fused, folder / "model.safetensors", metadata={"format": "pt"})
        loaded = type(model).from_pretrained(folder)
        train(loaded, self.lion(loaded, "store"))

    def test_a_store_opens_with_a_model_that_was_loaded_under_old_names(self) -> None:
        config = BertConfig(**{**SMALL, "num_key_value_heads": None})
        saved = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in self.in_files(BertForMaskedLM(config), "old").items()
        }
        save_file(saved, f"{self.folder}/old/model.safetensors", metadata={"format": "pt"})
        self.lion(BertForMaskedLM.from_pretrained(f"{self.folder}/old"), "bert").close()
        self.lion(BertForMaskedLM(config), "bert")

    def test_a_snapshot_warns_of_parameters_that_are_shared_without_being_declared(self) -> None:
        model = made(qwen, torch.float32)
        model.model.layers[1].mlp.experts = model.model.layers[0].mlp.experts
        optimizer = self.lion(model, "shared")
        with self.assertWarnsRegex(UserWarning, r"layers\.1\.mlp\.experts\.\w+ is model\.layers\.0.*random values"):
            optimizer.snapshot(f"{self.folder}/shared-snapshots")

    def test_a_snapshot_warns_of_tensors_that_no_files_elements_are(self) -> None:
        model, computed = made(qwen, torch.float32), "model.norm.weight"
        written = core_model_loading.revert_weight_conversion

        def otherwise(of: PreTrainedModel, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            after = written(of, tensors)
            return {**after, computed: after[computed] + 1}

        with mock.patch.object(core_model_loading, "revert_weight_conversion", otherwise):
            optimizer = self.lion(model, "computed")
        with self.assertWarnsRegex(UserWarning, r"has 1 tensors, such as model\.norm\.weight, as they are in memory"):
            optimizer.snapshot(f"{self.folder}/computed-snapshots")
