"""The store's bfloat16 weights as memory of this process that only steps write through to the store."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from dataclasses import dataclass
from typing import Iterator

import torch

_PAGE = mmap.PAGESIZE
_ENTRY_BYTES = 8
# Linux, Documentation/admin-guide/mm/pagemap.rst.
_PRESENT, _SWAPPED, _OF_FILE = 63, 62, 61
_NO_RESERVE = 0x4000
"""MAP_NORESERVE: pages that nobody writes take no memory, so none is set aside."""


@dataclass(frozen=True)
class _Place:
    start: int
    size: int


class WeightsMapping:
    """A private mapping of the file ``weights.plane``.

    A page that nobody has written *is* the store's: it takes no memory of its own and shows what a
    step writes. The first write to a page by anybody here gives this process a copy of it, which the
    store never sees; the system's page table tells which pages those are. So a parameter is in place,
    and yet what was changed since the last step can be found, page by page, without reading it.
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            flags = mmap.MAP_PRIVATE | _NO_RESERVE
            self._memory = mmap.mmap(
                file.fileno(), size, flags, mmap.PROT_READ | mmap.PROT_WRITE
            )
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._places: dict[int, _Place] = {}
        self._buffers: dict[int, weakref.ref[ctypes.Array[ctypes.c_uint16]]] = {}

    def tensor(self, number: int, offset: int, shape: torch.Size) -> torch.Tensor:
        """A tensor over the weights that begin at an offset in the file; it keeps the mapping alive."""
        self._places[number] = _Place(offset, 2 * shape.numel())
        memory = (ctypes.c_uint16 * shape.numel()).from_buffer(self._memory, offset)
        self._buffers[number] = weakref.ref(memory)
        return torch.frombuffer(memory, dtype=torch.bfloat16).view(shape)

    def address(self, number: int) -> int | None:
        """Where a tensor's weights are, if :meth:`tensor` gave it."""
        place = self._places.get(number)
        return None if place is None else self._base + place.start

    def contains(self, address: int) -> bool:
        """Whether an address is in this memory."""
        return self._base <= address < self._base + len(self._memory)

    def written(self) -> Written:
        """What somebody here has written since it was last dropped."""
        return Written(self._memory, self._is_own(), self._places)

    def keep_what_is_used(self) -> None:
        """Gives every tensor that still exists pages of its own: the store's are about to change hands."""
        for number, place in self._places.items():
            if self._buffers[number]() is not None and place.size:
                first = place.start - place.start % _PAGE
                every = torch.frombuffer(
                    self._memory, dtype=torch.uint8, count=place.start + place.size - first, offset=first
                )[::_PAGE]
                every.copy_(every.clone())

    def _is_own(self) -> torch.Tensor:
        """Which pages, from the beginning to the last one of a tensor, are this process's own."""
        end = max((place.start + place.size for place in self._places.values()), default=0)
        pages = -(-end // _PAGE)
        at = self._base // _PAGE * _ENTRY_BYTES
        try:
            with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
                content = bytearray(os.pread(pagemap.fileno(), pages * _ENTRY_BYTES, at))
        except OSError:
            content = bytearray()
        if len(content) != pages * _ENTRY_BYTES or not content:
            return torch.ones(pages, dtype=torch.bool)  # unknown: every one may be
        entries = torch.frombuffer(content, dtype=torch.int64)
        in_memory = (entries >> _PRESENT & 1) & ~(entries >> _OF_FILE) & 1
        return (in_memory | entries >> _SWAPPED & 1).bool()


class Written:
    """The pages of a mapping that are this process's own."""

    def __init__(self, memory: mmap.mmap, is_own: torch.Tensor, places: dict[int, _Place]) -> None:
        self._memory, self._is_own, self._places = memory, is_own, places
        self._any = bool(is_own.any())

    @property
    def tensors(self) -> set[int]:
        """The numbers of the tensors that lie in such pages, in part at least."""
        if not self._any:
            return set()
        before = [0, *torch.cumsum(self._is_own, 0).tolist()]
        return {
            number
            for number, place in self._places.items()
            if place.size
            and before[(place.start + place.size - 1) // _PAGE + 1] > before[place.start // _PAGE]
        }

    def drop(self) -> None:
        """Shows the store's weights there again."""
        for start, end in self._runs() if self._any else ():
            self._memory.madvise(mmap.MADV_DONTNEED, start * _PAGE, (end - start) * _PAGE)

    def _runs(self) -> Iterator[tuple[int, int]]:
        """From and to, in pages, of those that follow each other."""
        none = torch.zeros(1, dtype=torch.int8)
        edges = torch.diff(self._is_own.to(torch.int8), prepend=none, append=none)
        starts = torch.nonzero(edges > 0).flatten().tolist()
        ends = torch.nonzero(edges < 0).flatten().tolist()
        yield from zip(starts, ends)
