"""How a parameter of the model and a tensor of the store keep the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch

from . import _backward_queue as _backward_queue  # before any pass over what is bound here
from . import errors
from ._fingerprint import fingerprint
from ._mapping import WeightsMapping
from ._memory import TYPES, addresses, is_contiguous_on_cpu, on_host, require_plain
from ._store import Store

# PyTorch 2.1 cannot tell autograd so.
_increment_version = getattr(torch.autograd.graph, "increment_version", lambda tensor: None)


def is_on_host(tensor: torch.Tensor) -> bool:
    """Whether the CPU has a tensor in its memory."""
    return tensor.device.type == "cpu"


class Binding:
    """A parameter, and the tensor of the store with its weights.

    A bfloat16 parameter on the CPU is *in place*: its memory is the store's own, in pages that
    become its own where anybody writes them. Any other has memory of its own, which each step
    writes: float32 from the exact master, the rest rounded from it.
    """

    def __init__(self, number: int, group: int, name: str, parameter: torch.Tensor) -> None:
        self.number = number
        self.group = group
        self.name = name
        self.parameter = parameter
        self.is_trained = parameter.requires_grad
        self.given_dtype = parameter.dtype
        """In which dtype the parameter was given its weights last."""
        self.fingerprint: torch.Tensor | None = None
        """Of the weights that were given last, where the CPU cannot compare them in place."""
        self._shape = parameter.shape

    @property
    def label(self) -> str:
        return f"parameter {self.name}"

    @property
    def has_elements(self) -> bool:
        return self.parameter.numel() > 0

    def is_in_place(self, mapping: WeightsMapping) -> bool:
        """Whether the parameter's memory is the store's, as it is there: not, if something has replaced
        its ``.data``, by its own transpose perhaps."""
        address, parameter = mapping.address(self.number), self.parameter
        return (
            address is not None
            and parameter.data_ptr() == address
            and is_contiguous_on_cpu(parameter, torch.bfloat16)
        )

    def require_shape_of(self, parameter: torch.Tensor) -> None:
        """Checks that a parameter has the shape that the store's tensor has.

        :raises MismatchError: if it has another
        """
        if parameter.shape != self._shape:
            raise errors.MismatchError(
                f"{self.label} has shape {[*parameter.shape]}, {[*self._shape]} in the store: a tensor"
                " keeps its shape; make another store for another model"
            )

    def require_still_frozen(self) -> None:
        """Checks that a parameter which was frozen has no gradient now.

        :raises StateError: if it has
        """
        if not self.is_trained and self.parameter.grad is not None:
            raise errors.StateError(
                f"{self.name} was frozen when the store was made and has a gradient now: call"
                " optimizer.update_layout() when requires_grad has changed"
            )

    def stepped(self) -> None:
        """Tells autograd that the parameter was changed in place."""
        _increment_version(self.parameter)


@dataclass(frozen=True)
class _Before:
    """What a tensor was before a look took over what had been written."""

    weights: torch.Tensor
    masters: torch.Tensor


class Weights:
    """The parameters of a store, and the weights that it has for them.

    The model is the truth: before a step, a snapshot, a hash or closing, elements that anybody has
    changed become new masters, and no others do.
    """

    def __init__(self, store: Store, bindings: Sequence[Binding]) -> None:
        self._store = store
        self.bindings = bindings
        self._looked_at: dict[int, _Before] = {}
        self.mapping = WeightsMapping(store.weights_file)
        store.at_close(self.mapping.keep_what_is_used)

    def give_all(self) -> None:
        """Gives every parameter the store's weights, in place where that can be."""
        for binding in self.bindings:
            require_plain(binding.parameter, binding.label)
            if _may_be_in_place(binding.parameter) and self._store.call("isOneTensor", binding.number):
                offset = self._store.call("weightsOffset", binding.number)
                parameter = binding.parameter
                parameter.data = self.mapping.tensor(binding.number, offset, parameter.shape)
        self.write(self.bindings)

    def fingerprints(self) -> dict[int, torch.Tensor]:
        """The fingerprints of what trained parameters hold, by number."""
        trained = [b for b in self.bindings if b.is_trained and b.has_elements]
        for binding in trained:
            require_plain(binding.parameter, binding.label)
        return {b.number: fingerprint(b.parameter).cpu() for b in trained}

    # --- from the model to the store

    def take_over(self, *, frozen_too: bool, is_look: bool = False) -> None:
        """Makes what something else has written into parameters the store's masters, as a transaction.

        :param frozen_too: whether to look at parameters that are not trained
        :param is_look: that a snapshot or a hash needs them, not a step: if weights come back that were
            there before, their exact masters come back too
        :raises ArgumentError: if a value is not finite or too large, naming the tensor and the element;
            nothing has changed then
        """
        written = self.mapping.written()
        touched = written.tensors
        looked_at: list[tuple[Binding, torch.Tensor]] = []
        for binding in self.bindings:
            binding.require_shape_of(binding.parameter)
            if not binding.has_elements:
                continue
            require_plain(binding.parameter, binding.label)
            if not binding.is_in_place(self.mapping):
                self._separate(binding)
                if binding.is_trained or frozen_too:
                    looked_at.append((binding, self._of_its_own(binding)))
            elif binding.number in touched:
                looked_at.append((binding, binding.parameter.detach()))
        looked_at = self._without_unchanged_remote(looked_at)
        looked_at = [(b, self._with_masters_of_before(b, value)) for b, value in looked_at]
        if is_look:
            self._remember(looked_at)
        else:
            self._looked_at.clear()
        if looked_at:
            values = [value for _, value in looked_at]
            self._store.call_with_lists(
                "takeOver",
                [b.number for b, _ in looked_at],
                [TYPES[value.dtype] for value in values],
                addresses(values),
            )
            for binding, _ in looked_at:
                binding.given_dtype = binding.parameter.dtype
                self._note(binding)
        written.drop()

    def _separate(self, binding: Binding) -> None:
        """Gives a parameter memory of its own whose memory is another one's in the store, or its own turned.

        Two layers may have exchanged their ``.data``: what is written for one would change the other.
        """
        if self.mapping.contains(binding.parameter.data_ptr()):
            binding.parameter.data = binding.parameter.data.clone()

    def _remember(self, looked_at: Sequence[tuple[Binding, torch.Tensor]]) -> None:
        """Keeps the weights and masters of tensors that a look is about to change."""
        for binding, value in looked_at:
            if value.dtype is torch.float32 or binding.number in self._looked_at:
                continue
            weights = torch.empty(value.shape, dtype=value.dtype)
            copy_weights(self._store, binding, weights)
            if not torch.equal(weights.view(torch.int16), value.contiguous().view(torch.int16)):
                masters = torch.empty(value.shape, dtype=torch.float32)
                copy_weights(self._store, binding, masters)
                self._looked_at[binding.number] = _Before(weights, masters)

    def _with_masters_of_before(self, binding: Binding, value: torch.Tensor) -> torch.Tensor:
        """A parameter's values, or its masters where weights have come back that a look replaced."""
        before = self._looked_at.get(binding.number)
        if before is None or value.dtype is not before.weights.dtype:
            return value
        weights = torch.empty(value.shape, dtype=value.dtype)
        masters = torch.empty(value.shape, dtype=torch.float32)
        copy_weights(self._store, binding, weights)
        copy_weights(self._store, binding, masters)
        unchanged = torch.where(value == weights, masters, value.float())
        return torch.where(value == before.weights, before.masters, unchanged)

    def _of_its_own(self, binding: Binding) -> torch.Tensor:
        """The values of a parameter with memory of its own; those on a device may stay there."""
        parameter = binding.parameter
        if binding.fingerprint is not None and not is_on_host(parameter):
            return parameter
        return self._brought(binding)

    def _brought(self, binding: Binding) -> torch.Tensor:
        if binding.parameter.dtype is binding.given_dtype:
            return on_host(binding.parameter, binding.label)
        return self._of_another_dtype(binding)

    def masters_now(self, binding: Binding) -> torch.Tensor:
        """The masters that a step of a parameter would start from; nothing is changed."""
        now = on_host(binding.parameter, binding.label)
        masters = self._with_masters_of_before(binding, now)
        return self._of_another_dtype(binding) if masters is now else masters

    def _of_another_dtype(self, binding: Binding) -> torch.Tensor:
        """The masters of a parameter whose dtype may have been changed, by ``model.float()`` perhaps.

        What equals the weights that it was given, in its new dtype, keeps its master.
        """
        now = on_host(binding.parameter, binding.label)
        given = torch.empty(now.shape, dtype=binding.given_dtype)
        masters = torch.empty(now.shape, dtype=torch.float32)
        copy_weights(self._store, binding, given)
        copy_weights(self._store, binding, masters)
        return torch.where(given.to(now.dtype) == now, masters, now.float())

    def _without_unchanged_remote(
        self, looked_at: list[tuple[Binding, torch.Tensor]]
    ) -> list[tuple[Binding, torch.Tensor]]:
        """Leaves out those on a device whose fingerprint there is what the last step left."""
        by_device: dict[torch.device, list[Binding]] = {}
        for binding, value in looked_at:
            if not is_on_host(value):
                by_device.setdefault(value.device, []).append(binding)
        if not by_device:
            return looked_at
        changed: set[int] = set()
        for bindings in by_device.values():
            # One wait for the device, not one for each parameter.
            found = torch.stack([fingerprint(b.parameter) for b in bindings])
            left = [b.fingerprint.to(found.device) for b in bindings if b.fingerprint is not None]
            differ = found != torch.stack(left)
            changed |= {b.number for b, differs in zip(bindings, differ.tolist()) if differs}
        return [
            (binding, value if is_on_host(value) else self._brought(binding))
            for binding, value in looked_at
            if is_on_host(value) or binding.number in changed
        ]

    # --- from the store to the model

    def write(self, bindings: Sequence[Binding]) -> None:
        """Writes what the store has into parameters that are not its own memory."""
        exact = []
        for binding in bindings:
            if binding.has_elements and not binding.is_in_place(self.mapping):
                require_plain(binding.parameter, binding.label)
                if is_on_host(binding.parameter) and is_contiguous_on_cpu(binding.parameter, torch.float32):
                    exact.append(binding)
                else:
                    _write_by_copy(self._store, binding)
        if exact:
            self._store.call_with_lists(
                "copyMasters", [b.number for b in exact], addresses([b.parameter for b in exact])
            )
        for binding in bindings:
            binding.given_dtype = binding.parameter.dtype
            self._note(binding)
            binding.stepped()

    def give_back(self) -> None:
        """Gives the model the store's weights, whatever has been written since."""
        self.mapping.written().drop()
        self.write(self.bindings)

    def sent(self, bindings: Sequence[Binding]) -> None:
        """Notes weights that a transfer has sent, once the device's own stream waits for them."""
        for binding in bindings:
            self._note(binding)

    def _note(self, binding: Binding) -> None:
        if binding.has_elements and not is_on_host(binding.parameter):
            binding.fingerprint = fingerprint(binding.parameter)

    def release(self) -> None:
        """Gives parameters memory of their own: the store's is about to go."""
        for binding in self.bindings:
            if binding.is_in_place(self.mapping):
                binding.parameter.data = binding.parameter.data.clone()


def _may_be_in_place(parameter: torch.Tensor) -> bool:
    """Whether a parameter's memory may be replaced by the store's: nobody else has a part in it."""
    return (
        is_on_host(parameter)
        and parameter.dtype is torch.bfloat16
        and parameter.numel() > 0
        and not parameter.is_shared()
        and parameter.untyped_storage().nbytes() == parameter.numel() * parameter.element_size()
    )


def _write_by_copy(store: Store, binding: Binding) -> None:
    parameter = binding.parameter
    values = torch.empty(parameter.shape, dtype=parameter.dtype)
    copy_weights(store, binding, values)
    parameter.detach().copy_(values)


def copy_weights(store: Store, binding: Binding, to: torch.Tensor) -> None:
    """Copies a parameter's weights in a dtype into contiguous memory of the host."""
    if to.dtype is torch.bfloat16:
        store.call("copyWeights", binding.number, *addresses([to]))
    elif to.dtype is torch.float32:
        store.call_with_lists("copyMasters", [binding.number], addresses([to]))
    else:
        masters = torch.empty(to.shape, dtype=torch.float32)
        copy_weights(store, binding, masters)
        to.copy_(masters)
