"""How a parameter of the model and a tensor of the store keep the same weights."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Mapping, Sequence

import torch

from . import _passes as _passes  # before any pass over what is bound here
from . import errors
from ._store import TYPES, Store


# PyTorch 2.1 cannot tell autograd so.
_increment_version = getattr(torch.autograd.graph, "increment_version", lambda tensor: None)


def is_on_host(tensor: torch.Tensor) -> bool:
    """Whether the CPU has a tensor in its memory."""
    return tensor.device.type == "cpu"


class Binding:
    """A parameter and the tensor of the store that it is.

    A parameter in bfloat16 on the CPU *is* the store's memory from now on, but for the time from its
    being loaded to the next step. Any other is written after each step: float32 from the exact
    master, the rest rounded from it.
    """

    def __init__(
        self, store: Store, number: int, group: int, name: str, parameter: torch.Tensor
    ) -> None:
        self.number = number
        self.group = group
        self.name = name
        self.parameter = parameter
        self.is_trained = parameter.requires_grad
        self._store = store
        self._device, self._dtype = parameter.device, parameter.dtype
        self.is_alias = parameter.dtype is torch.bfloat16 and is_on_host(parameter)
        self.is_detached = False
        if self.is_alias:
            self._alias()
        self._version = parameter._version

    def _alias(self) -> None:
        self.parameter.data = self._store.weights(self.number, self.parameter.shape)
        self._address = self.parameter.data_ptr()

    @property
    def has_elements(self) -> bool:
        return self.parameter.numel() > 0

    def detach(self) -> None:
        """Gives an alias memory of its own, so that what is written to it does not reach the store."""
        self.parameter.data = self.parameter.data.clone()
        self.is_detached = True

    def attach(self) -> None:
        """Ends that: the parameter has the store's memory again, and its weights."""
        self._alias()
        self.is_detached = False

    def release(self) -> None:
        """Gives the parameter memory of its own: the store's is about to go."""
        if self.is_alias:
            self.parameter.data = self.parameter.data.clone()

    def let_go(self) -> None:
        """Lets the store's memory go, for that of another one is about to come."""
        if self.is_alias:
            self.parameter.data = torch.zeros((), dtype=self._dtype).expand(self.parameter.shape)

    def require_still_frozen(self) -> None:
        """Checks that a parameter which was frozen has no gradient now.

        :raises StateError: if it has
        """
        if not self.is_trained and self.parameter.grad is not None:
            raise errors.StateError(
                f"{self.name} was frozen when the store was made and has a gradient now: call"
                " optimizer.update_layout() when requires_grad has changed"
            )

    def require_in_place(self) -> None:
        """Checks that nobody has moved the parameter away.

        :raises StateError: if it was moved to another device, dtype or memory
        """
        parameter = self.parameter
        if parameter.device != self._device or parameter.dtype is not self._dtype:
            raise errors.StateError(
                f"{self.name} was {self._dtype} on {self._device} when the optimizer was made and is"
                f" {parameter.dtype} on {parameter.device} now: move the model first"
            )
        is_in_store = self.is_alias and self.has_elements and not self.is_detached
        if is_in_store and parameter.data_ptr() != self._address:
            raise errors.StateError(
                f"{self.name} is no longer in the store's memory: something has replaced its .data;"
                " copy values into it instead (with torch.no_grad(): parameter.copy_(values))"
            )

    @property
    def was_changed(self) -> bool:
        """Whether anything but the optimizer has written the parameter since its last step.

        A change in the store's own memory is where it belongs already.
        """
        return self.is_detached or not self.is_alias and self.parameter._version != self._version

    def stepped(self) -> None:
        """Tells autograd that the parameter was changed in place."""
        _increment_version(self.parameter)
        self._version = self.parameter._version


def write_weights(store: Store, bindings: Sequence[Binding]) -> None:
    """Writes what the store has into parameters that are not its own memory."""
    exact = [b for b in bindings if _is_exact(b) and b.has_elements]
    store.call_with_lists(
        "copyMasters", [b.number for b in exact], [b.parameter.data_ptr() for b in exact]
    )
    for binding in bindings:
        if not (binding.is_alias or _is_exact(binding)) and binding.has_elements:
            _write_remote(store, binding)
        binding.stepped()


def _is_exact(binding: Binding) -> bool:
    parameter = binding.parameter
    return parameter.dtype is torch.float32 and is_on_host(parameter) and parameter.is_contiguous()


def _write_remote(store: Store, binding: Binding) -> None:
    parameter = binding.parameter
    values = torch.empty(parameter.shape, dtype=parameter.dtype)
    copy_weights(store, binding, values)
    parameter.detach().copy_(values)


def copy_weights(store: Store, binding: Binding, to: torch.Tensor) -> None:
    """Copies a parameter's weights in its dtype into contiguous memory of the host."""
    if to.dtype is torch.bfloat16:
        size = to.numel() * to.element_size()
        ctypes.memmove(to.data_ptr(), store.call("weights", binding.number), size)
    elif to.dtype is torch.float32:
        store.call_with_lists("copyMasters", [binding.number], [to.data_ptr()])
    else:
        masters = torch.empty(to.shape, dtype=torch.float32)
        copy_weights(store, binding, masters)
        to.copy_(masters)


def replace_masters(store: Store, bindings: Sequence[Binding]) -> None:
    """Takes over values that something else has written into parameters."""
    _replace(store, "setMasters", bindings, lambda binding: binding.parameter.detach())
    give_weights_back(store, bindings)


def give_weights_back(store: Store, bindings: Sequence[Binding]) -> None:
    """Gives the store's weights to parameters that something else has written."""
    for binding in bindings:
        if binding.is_detached:
            binding.attach()
    write_weights(store, bindings)


def load_momenta(
    store: Store, bindings: Sequence[Binding], state: Mapping[int, Mapping[str, Any]]
) -> None:
    """Takes momenta, rounded to bfloat16, from the state of lion-pytorch's optimizer.

    :raises MismatchError: if it is of another optimizer or of other parameters
    """
    chosen = [bindings[index] for index in state]
    for binding, entry in zip(chosen, state.values()):
        if entry.keys() != {"exp_avg"}:
            raise errors.MismatchError(
                f"the state of {binding.name} is {sorted(entry)}, expected exp_avg alone: Lion's"
            )
        found, expected = entry["exp_avg"].shape, binding.parameter.shape
        if found != expected:
            raise errors.MismatchError(
                f"exp_avg of {binding.name} has shape {[*found]}, expected {[*expected]}"
            )
        if not binding.is_trained:
            raise errors.MismatchError(f"{binding.name} is frozen: it has no momentum")
    values = {binding.number: entry["exp_avg"] for binding, entry in zip(chosen, state.values())}
    _replace(store, "setMomenta", chosen, lambda binding: values[binding.number])


def _replace(
    store: Store,
    function: str,
    bindings: Sequence[Binding],
    values_of: Callable[[Binding], torch.Tensor],
) -> None:
    some = [b for b in bindings if b.has_elements]
    values = [_on_host(values_of(b)) for b in some]
    if some:
        store.call_with_lists(
            function,
            [b.number for b in some],
            [TYPES[v.dtype] for v in values],
            [v.data_ptr() for v in values],
        )


def _on_host(values: torch.Tensor) -> torch.Tensor:
    """Values as the store takes them: contiguous, on the CPU, of a dtype that it knows."""
    dtype = values.dtype if values.dtype in TYPES else torch.float32
    return values.detach().to("cpu", dtype).contiguous()


def require_storable_gradient(gradient: torch.Tensor) -> None:
    """Checks that the store can take a gradient.

    :raises ArgumentError: if it is sparse or of another dtype
    """
    if gradient.layout is not torch.strided:
        raise errors.ArgumentError(f"Lion takes dense gradients, not {gradient.layout} ones")
    if gradient.dtype not in TYPES:
        raise errors.ArgumentError(f"Lion takes float32, float16 and bfloat16, not {gradient.dtype}")


def gradient_on_host(gradient: torch.Tensor, *, maximize: bool) -> torch.Tensor:
    """A gradient as the store takes it: dense, contiguous, on the CPU."""
    require_storable_gradient(gradient)
    host = gradient.detach().to("cpu").contiguous()
    return host.neg() if maximize else host
