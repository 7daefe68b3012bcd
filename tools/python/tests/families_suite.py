"""Folders as transformers, diffusers, sentence-transformers and PEFT write them, through the command line and back."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable, NamedTuple

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from lionstore import Lion, MismatchError
from reference import rounded

COMMAND = Path(__file__).resolve().parents[2] / "bin" / "lionstore"
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
COUNTS = re.compile(
    r"tensors: (\d+) trained \([\d,]+ parameters\), (\d+) frozen, (\d+) carried, (?:(\d+) tied, )?(\d+) left out"
)

TEXT: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED: dict[str, Any] = {**TEXT, "num_key_value_heads": 2, "head_dim": 8}
IMAGE: dict[str, Any] = {"image_size": 16, "patch_size": 8}
SPECIAL: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MOE: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
T5: dict[str, Any] = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
CLIP_TEXT: dict[str, Any] = {**TEXT, **SPECIAL}
WHISPER: dict[str, Any] = {
    "vocab_size": 99,
    "d_model": 32,
    "num_mel_bins": 8,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_source_positions": 16,
    "max_target_positions": 16,
    "decoder_start_token_id": 1,
    **SPECIAL,
}

IDS = torch.tensor([[5, 7, 11, 13, 17]])
PIXELS = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)


class Family(NamedTuple):
    """A small model and what it computes on."""

    model: type[hf.PreTrainedModel]
    config: Callable[[], hf.PreTrainedConfig]
    inputs: dict[str, torch.Tensor] = {"input_ids": IDS}

    def make(self, dtype: torch.dtype) -> hf.PreTrainedModel:
        torch.manual_seed(1)
        made: hf.PreTrainedModel = self.model._from_config(self.config(), dtype=dtype)
        return made.eval()


FAMILIES = {
    "llama": Family(hf.LlamaForCausalLM, lambda: hf.LlamaConfig(**GROUPED)),
    "qwen3_moe": Family(hf.Qwen3MoeForCausalLM, lambda: hf.Qwen3MoeConfig(**GROUPED, **MOE)),
    "gemma3": Family(hf.Gemma3ForCausalLM, lambda: hf.Gemma3TextConfig(**GROUPED, **SPECIAL)),
    "gpt2": Family(hf.GPT2LMHeadModel, lambda: hf.GPT2Config(vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4, **SPECIAL)),
    "bert": Family(hf.BertForMaskedLM, lambda: hf.BertConfig(**TEXT)),
    "t5": Family(hf.T5ForConditionalGeneration, lambda: hf.T5Config(**T5), {"input_ids": IDS, "decoder_input_ids": IDS}),
    "vit": Family(hf.ViTForImageClassification, lambda: hf.ViTConfig(**TEXT, **IMAGE), {"pixel_values": PIXELS}),
    "clip": Family(
        hf.CLIPModel,
        lambda: hf.CLIPConfig(text_config=CLIP_TEXT, vision_config={**TEXT, **IMAGE}, projection_dim=16),
        {"input_ids": IDS, "pixel_values": PIXELS},
    ),
    "whisper": Family(
        hf.WhisperForConditionalGeneration,
        lambda: hf.WhisperConfig(**WHISPER),
        {"input_features": torch.linspace(-1, 1, 8 * 32).reshape(1, 8, 32), "decoder_input_ids": IDS},
    ),
    "mamba": Family(
        hf.MambaForCausalLM,
        lambda: hf.MambaConfig(vocab_size=99, hidden_size=32, state_size=4, num_hidden_layers=2, **SPECIAL),
    ),
}


ERNIE = Family(
    hf.Ernie4_5_MoeForCausalLM,
    lambda: hf.Ernie4_5_MoeConfig(**GROUPED, moe_intermediate_size=16, moe_num_experts=4, moe_k=2),
)
"""Its routers' biases are frozen parameters, which import carries."""


class Tensor(NamedTuple):
    dtype: str
    shape: list[int]
    data: bytes


def read(folder: Path) -> dict[str, Tensor]:
    """The tensors of the safetensors files in a folder, not in those below it."""
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        file = path.read_bytes()
        (length,) = struct.unpack_from("<Q", file)
        header = json.loads(file[8 : 8 + length])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = Tensor(entry["dtype"], entry["shape"], file[begin:end])
    return found


def small_files(folder: Path) -> dict[str, bytes]:
    """What is neither a tensor nor the list of shards, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".safetensors" and not path.name.endswith(".safetensors.index.json")
    }


def outputs(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        made = model(**{name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()})
    return [value for value in made.values() if isinstance(value, torch.Tensor)]


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        hf.utils.logging.disable_progress_bar()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm")))

    def run_command(self, *arguments: Any) -> str:
        done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout.strip()

    def new(self, name: str) -> Path:
        """A path where nothing is."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def imported(self, model: Path, *options: str, weights: str = "") -> Path:
        """A store, whose result counts every tensor of the model."""
        store = self.new("store")
        told = self.run_command("import", model, store, *options)
        counts = COUNTS.search(told)
        assert counts is not None, told
        self.assertEqual(sum(int(count or 0) for count in counts.groups()), len(read(model / weights)), told)
        return store

    def exported(self, source: Path, name: str) -> Path:
        self.run_command("export", source, self.new(name))
        return self.folder / name

    def assert_equal_folders(self, one: Path, other: Path) -> None:
        self.assertEqual(small_files(one), small_files(other))
        folders = {path.relative_to(one).parent for path in one.rglob("*.safetensors")}
        self.assertEqual(folders, {path.relative_to(other).parent for path in other.rglob("*.safetensors")})
        for folder in folders:
            before, after = read(one / folder), read(other / folder)
            self.assertEqual(before.keys(), after.keys())
            self.assertEqual([name for name in before if before[name] != after[name]], [])

    def stepped_by_nothing(self, store: Path) -> Path:
        """A store restored from a snapshot after a step that changes no weight."""
        tensors = json.loads(self.run_command("inspect", store, "--json"))["tensors"]
        zeros = {tensor["name"]: torch.zeros(tensor["shape"]) for tensor in tensors}
        self.assertGreater(len(zeros), 0)
        save_file(zeros, self.folder / "zeros.safetensors")
        self.run_command("step", store, "--gradients", self.folder / "zeros.safetensors", "--lr", "0")
        self.snapshot = Path(self.run_command("snapshot", store, self.new("snapshots")))
        self.run_command("restore", self.snapshot, self.new("restored"))
        return self.folder / "restored"

    def round_trip(self, model: Path, *options: str, weights: str = "") -> Path:
        """Checks that a folder leaves as it came, also after a step and a restore; gives the export."""
        store = self.imported(model, *options, weights=weights)
        exported = self.exported(store, "exported")
        self.assert_equal_folders(model, exported)
        self.assert_equal_folders(model, self.exported(self.stepped_by_nothing(store), "again"))
        return exported


class TransformersTest(FolderTest):
    def assert_opens_as(self, folder: Path, family: Family, model: hf.PreTrainedModel) -> None:
        opened: Any
        told: Any
        opened, told = family.model.from_pretrained(folder, dtype=model.dtype, output_loading_info=True)
        self.assertFalse(told["missing_keys"] or told["unexpected_keys"] or told["mismatched_keys"], told)
        expected = outputs(model, family.inputs)
        self.assertGreater(len(expected), 0)
        for one, other in zip(outputs(opened.eval(), family.inputs), expected, strict=True):
            self.assertTrue(torch.equal(one, other))

    def check(self, family: Family, dtype: torch.dtype, shard: str = "5GB") -> None:
        model = family.make(dtype)
        folder = self.new("model")
        model.save_pretrained(folder, max_shard_size=shard)
        self.assertEqual(shard == "5GB", (folder / "model.safetensors").exists())
        (folder / "tokenizer.json").write_bytes(b'{ "version": "1.0" }\n')
        (folder / "chat_templates").mkdir()
        (folder / "chat_templates" / "tool use.jinja").write_bytes(b"{{ messages }}\r\n")
        self.assert_opens_as(self.round_trip(folder), family, model)
        with torch.no_grad():
            for parameter in model.parameters():
                # Whisper's sinusoids take no gradient, and are kept as they are.
                if parameter.requires_grad:
                    parameter.copy_(rounded(parameter.float()))
        self.assert_opens_as(self.snapshot, family, model)

    def test_float32(self) -> None:
        for name, family in FAMILIES.items():
            with self.subTest(family=name):
                self.check(family, torch.float32)

    def test_bfloat16(self) -> None:
        for name, family in FAMILIES.items():
            with self.subTest(family=name):
                self.check(family, torch.bfloat16)

    def test_float16(self) -> None:
        self.check(FAMILIES["gpt2"], torch.float16)

    def test_shards(self) -> None:
        self.check(FAMILIES["llama"], torch.float32, shard="20KB")



SMALL: dict[str, Any] = {
    **dict.fromkeys(["vocab_size"], 99),
    **dict.fromkeys(["hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "embedding_size", "decoder_hidden_size"], 32),
    **dict.fromkeys(["intermediate_size", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "dff"], 48),
    **dict.fromkeys(["num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers"], 2),
    **dict.fromkeys(["num_encoder_layers", "num_decoder_layers", "decoder_num_hidden_layers"], 2),
    **dict.fromkeys(["num_attention_heads", "num_key_value_heads", "num_heads", "n_head", "n_heads"], 4),
    **dict.fromkeys(["encoder_attention_heads", "decoder_attention_heads", "decoder_num_attention_heads"], 4),
    **dict.fromkeys(["num_encoder_attention_heads", "num_decoder_attention_heads"], 4),
    **dict.fromkeys(["head_dim", "d_head", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "d_kv", "model_in_dim"], 8),
    **dict.fromkeys(["max_position_embeddings", "n_positions"], 64),
    **dict.fromkeys(["n_routed_experts", "num_experts", "num_local_experts", "num_filters"], 4),
    **dict.fromkeys(["moe_intermediate_size", "q_lora_rank", "kv_lora_rank", "projection_dim", "codebook_size"], 16),
    **dict.fromkeys(["block_size", "num_conv_pos_embeddings"], 16),
    **dict.fromkeys(["n_group", "topk_group", "first_k_dense_replace"], 1),
    **dict.fromkeys(["num_experts_per_tok", "num_conv_pos_embedding_groups"], 2),
    **{"image_size": 32, "patch_size": 8, "conv_dim": (16,) * 7, "upsample_initial_channel": 32, "decoder_start_token_id": 1},
    **SPECIAL,
}
"""What configurations have in common, by name, wherever they have it."""

MORE_FAMILIES = """
    AlbertForMaskedLM ApertusForCausalLM BartForConditionalGeneration BertForPreTraining BioGptForCausalLM BlipModel
    BloomForCausalLM CohereForCausalLM CTRLLMHeadModel DebertaV2ForMaskedLM DeepseekV3ForCausalLM DistilBertForMaskedLM
    ElectraForMaskedLM EncodecModel FalconForCausalLM Glm4MoeForCausalLM GPTNeoXForCausalLM IBertForMaskedLM
    MambaForCausalLM MarianMTModel MiniMaxForCausalLM MixtralForCausalLM ModernBertForMaskedLM OpenAIGPTLMHeadModel
    OPTForCausalLM PatchTSTModel Phi3ForCausalLM ProphetNetForConditionalGeneration Qwen2AudioForConditionalGeneration
    Qwen2VLForConditionalGeneration RobertaForMaskedLM RoFormerForMaskedLM RTDetrV2ForObjectDetection RwkvForCausalLM
    Sam2Model SamModel SpeechT5HifiGan T5ForConditionalGeneration ViTMAEForPreTraining Wav2Vec2Model
    WhisperForConditionalGeneration XLMWithLMHeadModel XLNetLMHeadModel
"""


def shrink(config: hf.PreTrainedConfig) -> hf.PreTrainedConfig:
    for name, value in [*vars(config).items()]:
        if isinstance(value, hf.PreTrainedConfig):
            shrink(value)
        elif name in SMALL and value is not None:
            setattr(config, name, SMALL[name])
        elif name == "layer_types" and isinstance(value, list):
            config.layer_types = value[: config.num_hidden_layers]
    return config


@torch.no_grad()
def mark(model: hf.PreTrainedModel) -> None:
    """Gives negative values to floats that no optimizer steps, whatever they will be called in a file."""
    for parameter in model.parameters():
        parameter.uniform_(0.5, 1.5)
        if not parameter.requires_grad:
            parameter.neg_()
    saved = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point() and name in saved:
            buffer.uniform_(-1.5, -0.5)


class MeaningsTest(FolderTest):
    """Names tell what a tensor is; transformers knows."""

    def test_buffers_are_carried_and_twins_tied_and_all_else_is_trained(self) -> None:
        for name in MORE_FAMILIES.split():
            with self.subTest(model=name):
                made = getattr(hf, name)
                model = made(shrink(made.config_class()))
                mark(model)
                folder = self.new("model")
                model.save_pretrained(folder)
                file = folder / "model.safetensors"
                saved = load_file(file)
                expected = {key for key, value in saved.items() if not value.is_floating_point() or bool((value < 0).all())}
                state = model.state_dict()
                first = {state[key].data_ptr(): key for key in saved if key in state and state[key].numel()}
                twins = {key: first[value.data_ptr()] for key, value in state.items() if key not in saved and value.data_ptr() in first}
                # As files that other programs wrote have them.
                save_file({**saved, **{key: saved[kept].clone() for key, kept in twins.items()}}, file, {"format": "pt"})
                store = self.imported(folder)
                self.assertEqual(read(store).keys(), expected)
                tied = json.loads((store / "lionstore-origin.json").read_text()).get("tied", {})
                self.assertEqual({frozenset(pair) for pair in tied.items()}, {frozenset(pair) for pair in twins.items()})
                self.assert_equal_folders(folder, self.exported(store, "exported"))


class PartsTest(FolderTest):
    """Folders in which a model of transformers is a part, or none is."""

    def write(self, path: str, content: Any) -> None:
        file = self.folder / "model" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2))

    def save(self, path: str, dtype: torch.dtype, shapes: dict[str, list[int]]) -> None:
        generator = torch.Generator().manual_seed(3)
        file = self.folder / "model" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()},
            file,
            {"format": "pt"},
        )

    def test_a_pipeline_of_diffusers(self) -> None:
        attention = "down_blocks.0.attentions.0.transformer_blocks.0"
        unet = {
            "conv_in.weight": [8, 4, 3, 3],
            "conv_in.bias": [8],
            "time_embedding.linear_1.weight": [16, 8],
            "down_blocks.0.resnets.0.norm1.weight": [8],
            f"{attention}.attn1.to_q.weight": [8, 8],
            f"{attention}.attn2.to_k.weight": [8, 32],
            f"{attention}.attn1.to_out.0.bias": [8],
            "mid_block.resnets.0.time_emb_proj.weight": [8, 16],
            "up_blocks.0.upsamplers.0.conv.weight": [8, 8, 3, 3],
            "conv_norm_out.weight": [8],
            "conv_out.weight": [4, 8, 3, 3],
        }
        for dtype in (torch.float32, torch.bfloat16):
            model = self.new("model")
            self.write("model_index.json", {
                "_class_name": "StableDiffusionPipeline",
                "_diffusers_version": "0.35.1",
                "feature_extractor": [None, None],
                "scheduler": ["diffusers", "DDIMScheduler"],
                "text_encoder": ["transformers", "CLIPTextModel"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
                "unet": ["diffusers", "UNet2DConditionModel"],
            })
            self.write("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler", "beta_end": 0.012})
            self.write("tokenizer/vocab.json", {"<|startoftext|>": 0, "a</w>": 1})
            (model / "tokenizer" / "merges.txt").write_bytes(b"#version: 0.2\na </w>\n")
            self.write("unet/config.json", {"_class_name": "UNet2DConditionModel", "cross_attention_dim": 32})
            self.save("unet/diffusion_pytorch_model.safetensors", dtype, unet)
            text = Family(hf.CLIPTextModel, lambda: hf.CLIPTextConfig(**CLIP_TEXT))
            encoder = text.make(dtype)
            encoder.save_pretrained(model / "text_encoder")
            for component in ("unet", "text_encoder"):
                with self.subTest(dtype=dtype, component=component):
                    exported = self.round_trip(model, "--component", component, weights=component)
                    opened = hf.CLIPTextModel.from_pretrained(exported / "text_encoder", dtype=dtype)
                    for one, other in zip(outputs(opened, text.inputs), outputs(encoder, text.inputs), strict=True):
                        self.assertTrue(torch.equal(one, other))

    def test_a_sentence_transformer(self) -> None:
        kinds = {"0": "Transformer", "1": "Pooling", "2": "Dense"}
        paths = {"0": "", "1": "1_Pooling", "2": "2_Dense"}
        for dtype in (torch.float32, torch.bfloat16):
            with self.subTest(dtype=dtype):
                model = self.new("model")
                bert = Family(hf.BertModel, FAMILIES["bert"].config)
                bert.make(dtype).save_pretrained(model)
                self.write("modules.json", [
                    {"idx": int(n), "name": n, "path": paths[n], "type": f"sentence_transformers.models.{kinds[n]}"}
                    for n in kinds
                ])
                self.write("sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
                self.write("config_sentence_transformers.json", {"prompts": {}, "similarity_fn_name": "cosine"})
                self.write("1_Pooling/config.json", {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})
                self.write("2_Dense/config.json", {"in_features": 32, "out_features": 16, "bias": True})
                self.save("2_Dense/model.safetensors", dtype, {"linear.weight": [16, 32], "linear.bias": [16]})
                self.round_trip(model)

    def test_an_adapter_of_peft(self) -> None:
        layer = "base_model.model.model.layers.0"
        lora = {
            f"{layer}.self_attn.q_proj.lora_A.weight": [4, 32],
            f"{layer}.self_attn.q_proj.lora_B.weight": [32, 4],
            f"{layer}.self_attn.q_proj.lora_magnitude_vector": [32],
            f"{layer}.mlp.experts.lora_A.weight": [16, 32],
            "base_model.model.model.embed_tokens.lora_embedding_A": [4, 99],
            "base_model.model.lm_head.weight": [99, 32],
            "base_model.model.score.modules_to_save.weight": [2, 32],
        }
        for dtype in (torch.float32, torch.bfloat16):
            with self.subTest(dtype=dtype):
                model = self.new("model")
                self.write("adapter_config.json", {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]})
                self.save("adapter_model.safetensors", dtype, lora)
                (model / "README.md").write_text("---\nlibrary_name: peft\n---\n")
                self.round_trip(model)


class ImportedTest(FolderTest):
    """A store that the command line made of a folder, in Python and back."""

    def open(self, family: Family, model: hf.PreTrainedModel, store: Path) -> Lion:
        """With the two groups that Trainer makes."""
        decayed = [(name, p) for name, p in model.named_parameters() if p.dim() > 1]
        others = [(name, p) for name, p in model.named_parameters() if p.dim() <= 1]
        optimizer = Lion([{"params": decayed}, {"params": others, "weight_decay": 0.0}], store, lr=1e-3, model=model)
        self.addCleanup(optimizer.close)
        return optimizer

    def test_it_opens_with_its_weights_trains_and_leaves_as_the_model_is(self) -> None:
        for name, family in {**FAMILIES, "ernie4_5_moe": ERNIE}.items():
            with self.subTest(family=name):
                original, store = family.make(torch.float32), self.new("store")
                original.save_pretrained(self.new("model"))
                self.run_command("import", self.folder / "model", store)
                model = family.make(torch.float32)
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.zero_()
                optimizer = self.open(family, model, store)
                for (label, found), right in zip(model.named_parameters(), original.parameters()):
                    self.assertTrue(torch.equal(found, right), label)
                for _ in range(2):
                    optimizer.zero_grad()
                    with torch.enable_grad():
                        made = model(**family.inputs)
                    sum(v.float().square().mean() for v in made.values() if isinstance(v, torch.Tensor)).backward()
                    optimizer.step()
                optimizer.close()
                self.run_command("export", store, self.new("out"))
                self.assertEqual({*read(self.folder / "out")}, {*read(self.folder / "model")})
                opened, report = type(model).from_pretrained(self.folder / "out", output_loading_info=True)
                self.assertFalse(report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"], report)
                for left, right in zip(outputs(opened.eval(), family.inputs), outputs(model, family.inputs), strict=True):
                    self.assertTrue(torch.equal(left, right))

    def test_buffers_that_import_carried_reach_the_model_and_stay(self) -> None:
        config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
        original = hf.ResNetForImageClassification(config).train()
        original(pixel_values=PIXELS * 3 + 1)
        original.save_pretrained(self.new("model"))
        self.run_command("import", self.folder / "model", self.new("store"))
        model = hf.ResNetForImageClassification(config)
        optimizer = Lion(model.named_parameters(), self.folder / "store", lr=1e-3, model=model)
        for (name, found), right in zip(model.named_buffers(), original.buffers(), strict=True):
            self.assertTrue(torch.equal(found, right), name)
        optimizer.resume()
        optimizer.close()
        self.run_command("export", self.folder / "store", self.new("out"))
        self.assertEqual(read(self.folder / "out"), read(self.folder / "model"))

    def test_what_import_froze_is_not_trained_by_a_model_that_would(self) -> None:
        model = FAMILIES["qwen3_moe"].make(torch.float32)
        model.save_pretrained(self.new("model"))
        self.run_command("import", self.folder / "model", self.new("store"), "--freeze", r".*layers\.0\..*")
        with self.assertRaisesRegex(MismatchError, r"layers\.0\..* is frozen in the store.*without --freeze"):
            self.open(FAMILIES["qwen3_moe"], model, self.folder / "store")
        model.model.layers[0].requires_grad_(False)
        self.open(FAMILIES["qwen3_moe"], model, self.folder / "store")

    def test_tensors_that_the_models_class_has_not_got_are_carried_on_request(self) -> None:
        config = FAMILIES["bert"].config()
        hf.BertForPreTraining(config).save_pretrained(self.new("model"))
        self.run_command("import", self.folder / "model", self.new("store"))
        model = hf.BertForMaskedLM.from_pretrained(self.folder / "model")
        with self.assertRaisesRegex(MismatchError, r"seq_relationship\.weight is in the store alone.*--carry REGEX"):
            self.open(FAMILIES["bert"], model, self.folder / "store")
        self.run_command("import", self.folder / "model", self.new("store"), "--carry", r".*(pooler|seq_relationship).*")
        self.open(FAMILIES["bert"], model, self.folder / "store").close()
        self.run_command("export", self.folder / "store", self.new("out"))
        self.assertEqual(read(self.folder / "out"), read(self.folder / "model"))

    def test_a_bfloat16_folder_opens_with_a_float32_model(self) -> None:
        family = FAMILIES["llama"]
        family.make(torch.bfloat16).save_pretrained(self.new("model"))
        self.run_command("import", self.folder / "model", self.new("store"))
        model = family.make(torch.float32)
        optimizer = Lion(model.named_parameters(), self.folder / "store", lr=1e-3, model=model)
        self.addCleanup(optimizer.close)
        outputs_now = model(**family.inputs)
        outputs_now.logits.square().mean().backward()
        optimizer.step()
        self.assertEqual(optimizer.steps, 1)


if __name__ == "__main__":
    unittest.main()
