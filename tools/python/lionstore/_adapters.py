"""Adapters of PEFT: what it saves of a model, and under which names.

PEFT is asked itself. It is never imported here: a model that has adapters has imported it.
"""

from __future__ import annotations

import copy
import inspect
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping

import torch

from . import errors
from ._names import inner_name
from ._store import ADAPTER_CONFIG

_PREFIX = "base_model.model."
"""What PEFT has before the names of the base model."""

_WITH_ADAPTERS_NAME = re.compile(
    r"base_model\.model\..*\.(lora_\w+|ia3_l|modules_to_save|trainable_tokens_delta)\.(?!weight$|bias$)[^.]+"
)


@dataclass(frozen=True)
class Adapter:
    """An adapter of a model, as PEFT saves it."""

    name: str
    saved: Mapping[str, str]
    """What PEFT saves of it: names in the model, and the names in the file."""
    computed: tuple[str, ...]
    """Names of tensors in the file that no tensor of the model has the values of."""
    of_others: Mapping[str, str]
    """Names in the model of what belongs to other adapters alone, and those."""
    prefix: str
    """What PEFT puts before the model's own names."""
    tied: Mapping[str, str]
    """Second names in the file of a parameter, and the one that the store has."""
    config: bytes
    """The file ``adapter_config.json``."""
    held: frozenset[str] = frozenset()
    """The names in the store, if there is one: it may have been made with the model's."""

    def stored(self, name: str) -> str:
        """What the store calls something that the model calls so."""
        return name if name in self.held else self.saved.get(name, self.prefix + name)

    def keeps(self, name: str, parameter: torch.Tensor) -> bool:
        """Whether a parameter belongs into the store: the frozen base does not.

        :raises ArgumentError: if another adapter is trained
        """
        if not parameter.requires_grad:
            return name in self.saved or name in self.held
        if name in self.of_others:
            raise errors.ArgumentError(
                f"{name} is of adapter {self.of_others[name]!r} and trained beside adapter {self.name!r}: a store"
                " is of one adapter; make an optimizer with a store of its own for each, or freeze one with"
                " set_adapter"
            )
        return True


def model_of(params: Any) -> torch.nn.Module | None:
    """The model whose ``named_parameters()`` these are, if nothing has gone through them yet."""
    if not inspect.isgenerator(params):
        return None
    model = inspect.getgeneratorlocals(params).get("self")
    return model if isinstance(model, torch.nn.Module) else None


def with_adapters(model: torch.nn.Module | None) -> Any:
    """The model in its wrappers if it has adapters of PEFT, else None."""
    peft = sys.modules.get("peft")
    while isinstance(model, torch.nn.Module) and peft is not None:
        if isinstance(model, peft.PeftModel) or _has_its_own(model):
            return model
        inner = getattr(model, "_orig_mod", None)
        model = getattr(model, "module", None) if inner is None else inner
    return None


def _has_its_own(model: torch.nn.Module) -> bool:
    """Whether it is a model of transformers after ``add_adapter``."""
    transformers: Any = sys.modules.get("transformers")
    return (
        transformers is not None
        and isinstance(model, transformers.PreTrainedModel)
        and bool(getattr(model, "_hf_peft_config_loaded", False))
    )


def listed(params: Any) -> Any:
    """The same parameters or groups, so that they can be gone through twice."""
    if isinstance(params, torch.Tensor):
        return params
    return [
        {**each, "params": [*each["params"]]}
        if isinstance(each, dict) and isinstance(each.get("params"), Iterator)
        else each
        for each in params
    ]


def adapter_of(model: Any, params: Iterable[Any], held: Iterable[str]) -> Adapter:
    """The adapter that is trained: the one that the trained parameters belong to.

    :param params: what an optimizer was given, of :func:`listed`
    :param held: the names in the store, none if it is to be made
    :raises ArgumentError: if nothing is trained
    """
    trained = {id(each) for each in _flat(params) if each.requires_grad}
    if not trained:
        raise errors.ArgumentError(
            f"no parameter of adapter {_active(model)!r} is trained: load it with"
            " PeftModel.from_pretrained(…, is_trainable=True), or make it trained with set_adapter"
        )
    saved, computed = {}, {}
    for each in model.peft_config:
        saved[each], computed[each] = _saved(model, each)
    alone = {
        each: {*names}.difference(*(saved[other] for other in saved if other != each)) for each, names in saved.items()
    }
    names = {inner_name(name) for name, p in model.named_parameters(remove_duplicate=False) if id(p) in trained}
    name = next((each for each in saved if names & alone[each]), _active(model))
    return Adapter(
        name,
        saved[name],
        computed[name],
        {inner: other for other in saved if other != name for inner in alone[other]},
        "" if isinstance(model, sys.modules["peft"].PeftModel) else _PREFIX,
        _tied(model, saved[name]),
        _config(model, name),
        frozenset(held),
    )


def _tied(model: Any, saved: Mapping[str, str]) -> dict[str, str]:
    first: dict[int, str] = {}
    tied = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        stored = saved.get(inner_name(name))
        if stored is not None and first.setdefault(id(parameter), stored) != stored:
            tied[stored] = first[id(parameter)]
    return tied


def _flat(params: Iterable[Any]) -> Iterator[torch.Tensor]:
    for each in params:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, tuple):
            yield from _flat(each[1:])
        elif isinstance(each, dict) and not isinstance(each.get("params"), torch.Tensor):
            yield from _flat(each.get("params", ()))
        elif isinstance(each, dict):
            yield each["params"]


def _active(model: Any) -> str:
    active = model.active_adapters
    active = active() if callable(active) else active
    return str(active[0])


def _saved(model: Any, adapter: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names in the model of what PEFT saves, with those in the file; and names that only the file has."""
    state = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    names = {id(value): name for name, value in state.items()}
    prefix = "" if isinstance(model, sys.modules["peft"].PeftModel) else _PREFIX
    saved, computed = {}, []
    with torch.no_grad():
        file = sys.modules["peft"].get_peft_model_state_dict(model, state_dict=state, adapter_name=adapter)
    for name, value in file.items():
        found = names.get(id(value)) or _equal_prompt(state, adapter, value)
        if found is None:
            computed.append(prefix + inner_name(name))
        else:
            saved[inner_name(found)] = prefix + inner_name(name)
    return saved, tuple(computed)


def _equal_prompt(state: Mapping[str, torch.Tensor], adapter: str, value: torch.Tensor) -> str | None:
    """Prompts are saved as copies of what the prompt encoder has, unless they are computed."""
    for name, own in state.items():
        if name.startswith(f"prompt_encoder.{adapter}.") and own.shape == value.shape:
            if torch.equal(own.to(value.device, value.dtype), value):
                return name
    return None


def _config(model: Any, adapter: str) -> bytes:
    """As PEFT saves it."""
    config = copy.copy(model.peft_config[adapter])
    config.inference_mode = True
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if config.base_model_name_or_path is None:
        config.base_model_name_or_path = getattr(base, "name_or_path", None)
    mapping = {"base_model_class": type(base).__name__, "parent_library": type(base).__module__}
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder, auto_mapping_dict=mapping if config.task_type is None else None)
        return (Path(folder) / ADAPTER_CONFIG).read_bytes()


def require_no_adapters(names: Iterable[str]) -> None:
    """Checks that names of a model that is not known are no adapter's.

    :raises ArgumentError: if one has an adapter's name in it, which PEFT does not save
    """
    for name in names:
        if _WITH_ADAPTERS_NAME.match(name):
            raise errors.ArgumentError(
                f"{name} is of an adapter, and PEFT saves it under another name: add model=model, so that the"
                " store gets the names of adapter_model.safetensors"
            )
