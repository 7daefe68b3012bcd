"""Adapters of PEFT, with modules of its names: PEFT itself is not there.

What each test is about somebody met with PEFT: huggingface/peft#282 and trl#6700 (nothing is trained), peft#1732
(batch norm), peft#2777 (tied layers), peft#3580 (another adapter is trained), ms-swift#9694 (types), Soup#335 (compiled).
"""

from __future__ import annotations

import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cases import LionTest, seeded
from lionstore import ArgumentError, Lion, MismatchError, StateError

PREFIX = "base_model.model."


class Adapted(nn.Module):
    """A linear layer with LoRA, named as PEFT names it; with ``dora`` it has a magnitude, too."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.base_layer: Any = inner.requires_grad_(False)
        self.lora_A, self.lora_B, self.lora_magnitude_vector = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()

    def add(self, name: str, rank: int) -> None:
        self.lora_A[name] = nn.Linear(self.base_layer.in_features, rank, bias=False)
        self.lora_B[name] = nn.Linear(rank, self.base_layer.out_features, bias=False)
        magnitude = nn.Linear(1, self.base_layer.out_features, bias=False)
        self.lora_magnitude_vector[name] = magnitude

    def forward(self, x: torch.Tensor, name: str) -> Any:
        magnitude: Any = self.lora_magnitude_vector[name].weight
        added = self.lora_B[name](self.lora_A[name](x)) * magnitude.view(-1)
        return self.base_layer(x) + added


class Saved(nn.Module):
    """A module that is trained as a copy and saved whole, like PEFT's ModulesToSaveWrapper."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.original_module = inner.requires_grad_(False)
        self.modules_to_save = nn.ModuleDict()


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = Adapted(nn.Linear(4, 4))
        self.norm = Saved(nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 4).requires_grad_(False)
        self.base_norm = nn.BatchNorm1d(4).requires_grad_(False)


class Config:
    """An adapter's configuration, as far as it is asked for."""

    task_type = "CAUSAL_LM"

    def __init__(self, rank: int) -> None:
        self.r, self.inference_mode, self.base_model_name_or_path = rank, False, "org/base"

    def save_pretrained(self, folder: str, auto_mapping_dict: Any = None) -> None:
        Path(folder, "adapter_config.json").write_text(json.dumps(vars(self)))


class PeftModel(nn.Module):
    """A model with adapters; one of them is active, and trained."""

    def __init__(self, **adapters: int) -> None:
        super().__init__()
        self.base_model = nn.ModuleDict({"model": Base()})
        self.peft_config = {}
        for name, rank in adapters.items():
            self.peft_config[name] = Config(rank)
            self.inner.query.add(name, rank)
            self.inner.norm.modules_to_save[name] = nn.BatchNorm1d(4)
        self.set_adapter(next(iter(adapters)))

    @property
    def inner(self) -> Any:
        return self.base_model["model"]

    @property
    def active_adapters(self) -> list[str]:
        return [self.active_adapter]

    def set_adapter(self, name: str, trained: bool = True) -> None:
        self.active_adapter = name
        for own, parameter in self.named_parameters():
            if "lora_" in own or "modules_to_save" in own:
                parameter.requires_grad_(trained and f".{name}." in own)

    def forward(self, x: torch.Tensor) -> Any:
        name = self.active_adapter
        return self.inner.head(self.inner.base_norm(self.inner.norm.modules_to_save[name](self.inner.query(x, name))))


def peft_state_dict(model: PeftModel, state_dict: dict[str, Any], adapter_name: str) -> dict[str, Any]:
    """As PEFT: its own and what is saved whole, without the adapter's name and the magnitude's suffix."""
    saved = {}
    for name, value in state_dict.items():
        if f".{adapter_name}." in name or name.endswith(f".{adapter_name}"):
            name = name.replace(f".{adapter_name}", "").replace("modules_to_save.", "")
            saved[name.replace("magnitude_vector.weight", "magnitude_vector")] = value
    return saved


def tensors_of(file: Path) -> dict[str, torch.Tensor]:
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:start])
    tensors = {}
    for name in entries.keys() - {"__metadata__"}:
        dtype = {"BF16": torch.bfloat16, "F32": torch.float32, "I64": torch.int64}[entries[name]["dtype"]]
        first, end = entries[name]["data_offsets"]
        values = torch.frombuffer(bytearray(content[start + first : start + end]), dtype=dtype)
        tensors[name] = values.view(entries[name]["shape"])
    return tensors


def compiled(model: nn.Module) -> Any:
    return torch.compile(model)


LORA = [f"{PREFIX}query.{each}" for each in ("lora_A.weight", "lora_B.weight", "lora_magnitude_vector")]
NAMES = [f"{PREFIX}norm.bias", f"{PREFIX}norm.weight", *LORA]
BUFFERS = [f"{PREFIX}norm.{each}" for each in ("num_batches_tracked", "running_mean", "running_var")]


class Adapters(LionTest):
    def setUp(self) -> None:
        super().setUp()
        peft: Any = types.ModuleType("peft")
        peft.PeftModel, peft.get_peft_model_state_dict = PeftModel, peft_state_dict
        sys.modules["peft"] = peft
        self.addCleanup(sys.modules.pop, "peft")

    def made(self, dtype: torch.dtype = torch.float32, **adapters: int) -> PeftModel:
        made: Any = seeded(lambda: PeftModel(**adapters or {"default": 2})).to(dtype)
        return made  # type: ignore[no-any-return]

    def run_steps(self, model: nn.Module, optimizer: Lion, count: int = 2) -> None:
        for number in range(count):
            optimizer.zero_grad()
            x = torch.arange(12.0).view(3, 4).sin() + number
            model(x.to(next(model.parameters()).dtype)).square().sum().backward()
            optimizer.step()

    def names(self, optimizer: Lion) -> list[str]:
        return sorted(name for group in optimizer.param_groups for name in group["param_names"])

    def snapshot(self, optimizer: Lion, folder: str = "snapshots") -> tuple[Path, dict[str, torch.Tensor]]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            taken = optimizer.snapshot(f"{self.folder}/{folder}")
        assert taken is not None
        return Path(taken), tensors_of(Path(taken, "adapter_model.safetensors"))

    def test_a_store_has_what_peft_saves_whichever_way_it_is_handed_over(self) -> None:
        makers = [
            lambda model, store: Lion(model, store),
            lambda model, store: Lion(model.named_parameters(), store),
            lambda model, store: Lion([p for p in model.parameters() if p.requires_grad], store, model=model),
            lambda model, store: Lion([{"params": model.named_parameters()}], store, model=model),
            lambda model, store: Lion(compiled(model).named_parameters(), store),
            lambda model, store: Lion(list(nn.DataParallel(model).named_parameters()), store, model=model),
        ]
        for number, make in enumerate(makers):
            with self.subTest(number):
                model = self.made()
                optimizer = make(model, f"{self.folder}/{number}")
                self.addCleanup(optimizer.close)
                self.assertEqual(self.names(optimizer), NAMES)
                self.assertEqual(sorted(optimizer._buffers.named), BUFFERS)

    def test_a_snapshot_is_an_adapter_with_its_buffers_and_configuration(self) -> None:
        model = self.made(torch.bfloat16)
        optimizer = self.lion(model)
        self.run_steps(model, optimizer)
        folder, tensors = self.snapshot(optimizer)
        self.assertEqual(sorted(tensors), sorted([*NAMES, *BUFFERS]))
        expected = peft_state_dict(model, dict(model.state_dict()), "default")
        for name, value in expected.items():
            self.assertTrue(torch.equal(tensors[name], value), name)
        config = json.loads((folder / "adapter_config.json").read_text())
        self.assertEqual(config, {"r": 2, "inference_mode": True, "base_model_name_or_path": "org/base"})
        self.assertFalse(model.peft_config["default"].inference_mode)
        self.assertFalse((folder / "model.safetensors").exists())

    def test_the_configuration_of_model_files_comes_first(self) -> None:
        files = Path(self.folder, "files")
        files.mkdir()
        (files / "adapter_config.json").write_text("{}")
        (files / "tokenizer.json").write_text("[]")
        folder, _ = self.snapshot(self.lion(self.made(), model_files=files))
        self.assertEqual((folder / "adapter_config.json").read_text(), "{}")
        self.assertEqual((folder / "tokenizer.json").read_text(), "[]")

    def test_a_run_goes_on_and_a_restored_snapshot_does(self) -> None:
        straight, halved, restored = self.made(), self.made(), self.made()
        optimizer = self.lion(straight, "straight")
        self.run_steps(straight, optimizer)
        self.run_steps(straight, optimizer)
        optimizer = self.lion(halved)
        self.run_steps(halved, optimizer)
        folder, _ = self.snapshot(optimizer)
        optimizer.close()
        base = halved.inner.base_norm.state_dict()
        Lion.restore(folder, f"{self.folder}/restored")
        again = self.made()
        for model, store in [(again, "store"), (restored, "restored")]:
            optimizer = self.lion(model, store)
            model.inner.base_norm.load_state_dict(base)
            self.run_steps(model, optimizer)
            self.assertEqual(optimizer.steps, 4)
            for name, value in straight.state_dict().items():
                self.assertTrue(torch.equal(model.state_dict()[name], value), name)

    def test_a_store_with_the_names_in_memory_opens(self) -> None:
        """Such stores were made before adapters were known: with the frozen base, under the model's names."""
        peft = sys.modules.pop("peft")
        old = self.made()
        optimizer = self.lion_of(old)
        self.run_steps(old, optimizer)
        store = optimizer._path
        optimizer.close()
        sys.modules["peft"] = peft
        model = self.made()
        optimizer = Lion(model, store)
        self.addCleanup(optimizer.close)
        self.assertIn(f"{PREFIX}query.lora_A.default.weight", self.names(optimizer))
        self.assertIn(f"{PREFIX}head.weight", self.names(optimizer))
        for name in old.state_dict():
            if "base_norm" not in name:
                self.assertTrue(torch.equal(old.state_dict()[name], model.state_dict()[name]), name)
        optimizer.update_layout()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            taken = optimizer.snapshot(f"{self.folder}/snapshots")
        self.assertTrue(Path(str(taken), "model.safetensors").exists())

    def test_a_frozen_part_that_peft_saves_belongs_to_the_snapshot(self) -> None:
        """LoRA-FA trains B alone, and PEFT saves A as well."""
        model = self.made()
        model.inner.query.lora_A["default"].requires_grad_(False)
        optimizer = self.lion(model)
        self.assertEqual(sorted(self.snapshot(optimizer)[1]), sorted([*NAMES, *BUFFERS]))
        optimizer.close()
        trained = Lion([p for p in model.parameters() if p.requires_grad], f"{self.folder}/b", model=model)
        self.addCleanup(trained.close)
        with self.assertWarnsRegex(UserWarning, "lacks 1 parameters.*lora_A.weight"):
            trained.snapshot(f"{self.folder}/lacking")

    def test_of_several_adapters_the_trained_one_is_stored(self) -> None:
        model = self.made(default=2, other=3)
        optimizer = self.lion(model)
        self.assertEqual(self.names(optimizer), NAMES)
        self.assertEqual(self.snapshot(optimizer)[1][LORA[0]].shape, (2, 4))
        model.set_adapter("other")
        with self.refuses("lora_A.other.weight is trained now", "store of its own", by=StateError):
            optimizer.update_layout()
        optimizer.close()
        optimizer = self.lion(model, "other")
        self.assertEqual(self.names(optimizer), NAMES)
        self.assertEqual(self.snapshot(optimizer, "others")[1][LORA[0]].shape, (3, 4))

    def test_two_adapters_that_are_trained_need_two_stores(self) -> None:
        model = self.made(default=2, other=3)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("lora_" in name)
        with self.refuses("lora_A.other.weight is of adapter 'other'", "adapter 'default'", by=ArgumentError):
            Lion(model, f"{self.folder}/both")
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        for adapter in ("default", "other"):
            optimizer = self.lion_of_some(model, [each for each in named if f".{adapter}." in each[0]])
            self.assertEqual(self.names(optimizer), LORA)

    def lion_of_some(self, model: nn.Module, some: list[Any]) -> Lion:
        optimizer = Lion(some, f"{self.folder}/{next(self._names)}", model=model)
        self.addCleanup(optimizer.close)
        return optimizer

    def test_an_adapter_that_is_not_trained_is_refused(self) -> None:
        model = self.made()
        model.set_adapter("default", trained=False)
        with self.refuses("no parameter of adapter 'default' is trained", "is_trainable=True", by=ArgumentError):
            self.lion(model)

    def test_names_without_their_model_are_refused(self) -> None:
        with self.refuses("lora_B.default.weight", "add model=model", by=ArgumentError):
            self.lion_of_list([(n, p) for n, p in self.made().named_parameters() if ".lora_B." in n])
        plain = seeded(lambda: nn.Linear(2, 2))
        self.lion_of_list([("base_model.model.q.lora_A.weight", plain.weight)])

    def lion_of_list(self, named: list[tuple[str, torch.Tensor]]) -> None:
        Lion(named, f"{self.folder}/{next(self._names)}").close()

    def test_a_base_weight_that_is_trained_is_stored_under_its_own_name(self) -> None:
        model = self.made()
        model.inner.head.bias.requires_grad_(True)
        optimizer = self.lion(model)
        self.assertEqual(self.names(optimizer), sorted([*NAMES, f"{PREFIX}head.bias"]))
        model.inner.head.weight.requires_grad_(True)
        with self.refuses("head.weight is trained now", "add_param_group", by=StateError):
            optimizer.update_layout()
        optimizer.add_param_group({"params": [model.inner.head.weight]})
        self.run_steps(model, optimizer)
        tensors = self.snapshot(optimizer)[1]
        self.assertEqual(sorted(tensors), sorted([*NAMES, *BUFFERS, f"{PREFIX}head.bias", f"{PREFIX}head.weight"]))

    def test_tied_parameters_are_saved_under_every_name(self) -> None:
        """PEFT asks for each name when it loads an adapter."""
        model = self.made()
        model.inner.tied = Saved(nn.Linear(4, 4))
        model.inner.tied.modules_to_save["default"] = model.inner.norm.modules_to_save["default"]
        optimizer = self.lion(model)
        self.run_steps(model, optimizer)
        folder, tensors = self.snapshot(optimizer)
        self.assertEqual(self.names(optimizer), NAMES)
        self.assertTrue(torch.equal(tensors[f"{PREFIX}tied.weight"], tensors[f"{PREFIX}norm.weight"]))
        Lion.restore(folder, f"{self.folder}/restored")
        self.run_steps(model, optimizer)
        tensors = self.snapshot(optimizer)[1]
        self.assertTrue(torch.equal(tensors[f"{PREFIX}tied.weight"], tensors[f"{PREFIX}norm.weight"]))
        optimizer.close()
        again = self.made()
        again.inner.tied = Saved(nn.Linear(4, 4))
        again.inner.tied.modules_to_save["default"] = again.inner.norm.modules_to_save["default"]
        optimizer = self.lion(again, "restored")
        self.run_steps(again, optimizer)
        self.assertTrue(torch.equal(again.inner.query.lora_A["default"].weight, model.inner.query.lora_A["default"].weight))

    def test_what_peft_computes_is_said(self) -> None:
        """Prompt tuning through a network: PEFT saves what comes out of it."""
        sys.modules["peft"].get_peft_model_state_dict = (  # type: ignore[attr-defined]
            lambda model, state_dict, adapter_name: {"prompt_embeddings": torch.zeros(2)}
        )
        optimizer = self.lion(self.made())
        with self.assertWarnsRegex(UserWarning, "PEFT computes prompt_embeddings.*save_pretrained"):
            optimizer.snapshot(f"{self.folder}/snapshots")

    def test_the_frozen_base_may_differ_from_that_of_the_store(self) -> None:
        self.lion(self.made()).close()
        model = self.made()
        with torch.no_grad():
            model.inner.head.weight.zero_()
        self.lion(model)
        self.assertFalse(model.inner.head.weight.any())

    def test_an_adapter_of_another_rank_is_a_mismatch(self) -> None:
        self.lion(self.made()).close()
        with self.refuses("lora_A.weight has shape", by=MismatchError):
            self.lion(self.made(default=3))


class Types(LionTest):
    def origin(self, store: str) -> Any:
        path = Path(self.folder, store, "lionstore-origin.json")
        return json.loads(path.read_text()) if path.exists() else None

    def test_a_store_keeps_the_types_of_its_parameters(self) -> None:
        model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2).half(), "c": nn.Linear(2, 2).bfloat16()})
        self.lion(model).close()
        found = self.origin("store")
        self.assertEqual(
            found["types"], {"a.bias": "F32", "a.weight": "F32", "b.bias": "F16", "b.weight": "F16"}
        )
        self.assertEqual((found["from_files"], found["base_name"]), (False, "model"))

    def test_a_bfloat16_store_needs_no_origin(self) -> None:
        self.lion(nn.Linear(2, 2).bfloat16()).close()
        self.assertIsNone(self.origin("store"))

    def test_a_successor_keeps_them_and_has_those_of_new_ones(self) -> None:
        model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2).half()})
        optimizer = Lion([(f"a.{n}", p) for n, p in model["a"].named_parameters()], f"{self.folder}/store", model=model)
        self.addCleanup(optimizer.close)
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.add_param_group({"params": [*model["b"].parameters()]})
        optimizer.load_state_dict(optimizer.state_dict())
        self.assertEqual(
            self.origin("store")["types"], {"a.bias": "F32", "a.weight": "F32", "b.bias": "F16", "b.weight": "F16"}
        )

    def test_types_are_those_of_the_store_whatever_opens_it(self) -> None:
        self.lion(nn.Linear(2, 2).bfloat16(), gradient_dtype=torch.float32).close()
        optimizer = self.lion(nn.Linear(2, 2))
        optimizer.update_layout()
        self.assertIsNone(self.origin("store"))

