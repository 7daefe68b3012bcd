"""The Java runtime in this process, and its functions; nothing but ctypes is needed to call them."""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import re
import threading
from typing import Any, Callable, Sequence

from . import _runtime, errors

_VERSION = 5
_ARGUMENTS = 6
_JNI_VERSION = 0x000A0000
# Positions in JNI's function table (Java Native Interface Specification, chapter 4).
_FIND_CLASS, _EXCEPTION_OCCURRED, _EXCEPTION_DESCRIBE = 6, 15, 16
_GET_STATIC_METHOD, _CALL_STATIC_LONG = 113, 134
_FIRST_ROOM = 4096
# What it reserves for code, classes and threads, and as much again.
_BESIDE_HEAP_BYTES = 1 << 30
_MAP_NORESERVE = 0x4000

Function = Callable[..., int]


class _Option(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("extra", ctypes.c_void_p)]


class _Arguments(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int32),
        ("count", ctypes.c_int32),
        ("options", ctypes.POINTER(_Option)),
        ("ignore_unknown", ctypes.c_ubyte),
    ]


class Java:
    """Functions by name. ``call`` raises what a function reports, of the type for its number."""

    def __init__(self) -> None:
        self._functions = _functions(_start())
        self._forked = False
        os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self._forked = True

    def call(self, name: str, *arguments: int | str | bytes) -> int:
        """Calls a function with 64-bit integers; text and bytes become an address and a length."""
        if self._forked:
            raise errors.ForkError(
                "a forked child cannot use its parent's optimizer: train in the parent, or start"
                " processes with the method 'spawn'"
            )
        # They hold the memory of text and bytes until the function has returned.
        buffers = [_buffer(a) for a in arguments if not isinstance(a, int)]
        result = self._functions[name](*_integers(arguments, buffers))
        if result < 0:
            raise errors.BY_NUMBER[-result](self._taken().decode())
        return result

    def call_for_bytes(self, name: str, *arguments: int | str | bytes) -> bytes:
        """Calls a function that leaves bytes for its caller."""
        self.call(name, *arguments)
        return self._taken()

    def call_for_text(self, name: str, *arguments: int | str | bytes) -> str:
        """Calls a function that leaves text for its caller."""
        return self.call_for_bytes(name, *arguments).decode()

    def _taken(self) -> bytes:
        take = self._functions["take"]
        room = ctypes.create_string_buffer(_FIRST_ROOM)
        length = take(*_integers([ctypes.addressof(room), len(room)], []))
        if length > len(room):
            room = ctypes.create_string_buffer(length)
            take(*_integers([ctypes.addressof(room), length], []))
        return room.raw[:length]


def _buffer(content: str | bytes) -> ctypes.Array[ctypes.c_char]:
    encoded = content.encode() if isinstance(content, str) else content
    return (ctypes.c_char * len(encoded)).from_buffer_copy(encoded)


def _integers(
    arguments: Sequence[int | str | bytes], buffers: Sequence[ctypes.Array[ctypes.c_char]]
) -> list[int]:
    rest = iter(buffers)
    integers: list[int] = []
    for argument in arguments:
        if isinstance(argument, int):
            integers.append(argument)
        else:
            buffer = next(rest)
            integers += [ctypes.addressof(buffer), len(buffer)]
    return integers + [0] * (_ARGUMENTS - len(integers))


def _functions(table: int) -> dict[str, Function]:
    version, count = (ctypes.c_int64 * 2).from_address(table)
    if version != _VERSION:
        raise errors.RuntimeMissingError(
            f"the Java half speaks version {version}, this package {_VERSION}: install one wheel"
        )
    entries = (ctypes.c_int64 * (2 * count)).from_address(table + 16)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * _ARGUMENTS)
    return {
        ctypes.string_at(name).decode(): kind(address)
        for name, address in zip(entries[0::2], entries[1::2])
    }


def _options() -> list[str]:
    return [
        *_runtime.flags(),
        # Ctrl-C, SIGTERM and SIGHUP stay Python's.
        "-Xrs",
        # The heap holds no state, only what describes it.
        "-Xms16m",
        "-Xmx512m",
        # Of a gibibyte by default, where the address space may be limited.
        "-XX:CompressedClassSpaceSize=64m",
        "-XX:+UseSerialGC",
        *_runtime.users_flags(),
    ]


def _start() -> int:
    """Starts the runtime and gives the address of its functions' table."""
    library = _runtime.require("runtime/lib/server/libjvm.so")
    texts = _options()
    _require_address_space(texts)
    options = (_Option * len(texts))(*[_Option(text.encode(), None) for text in texts])
    arguments = _Arguments(_JNI_VERSION, len(texts), options, 0)
    machine, environment = ctypes.c_void_p(), ctypes.c_void_p()
    # Enabled before, it would give SIGSEGV back to nobody when Python ends, and the runtime's own
    # threads use that signal until the process ends.
    faulthandler.disable()
    create = ctypes.CDLL(str(library)).JNI_CreateJavaVM
    failed = create(ctypes.byref(machine), ctypes.byref(environment), ctypes.byref(arguments))
    if failed:
        raise errors.RuntimeMissingError(
            f"the Java runtime in {_runtime.HOME} does not start (JNI error {failed}); another Java runtime"
            " in this process, too little memory or wrong LIONSTORE_JAVA_OPTS can be the reason"
        )
    return _table(environment)


def _require_address_space(options: Sequence[str]) -> None:
    """The runtime ends the process where it cannot reserve what it needs, as under ``ulimit -v``."""
    found = [match for text in options if (match := re.fullmatch(r"-Xmx(\d+)([kKmMgG]?)", text))]
    heap = int(found[-1][1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[found[-1][2].lower()]
    needed = heap + _BESIDE_HEAP_BYTES
    try:
        mmap.mmap(-1, needed, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE, prot=0).close()
    except (OSError, OverflowError) as failure:
        raise errors.JavaMemoryError(
            f"the Java runtime needs {needed >> 20} MiB of address space, {heap >> 20} of them for -Xmx, and the"
            f" system refuses them ({failure}): raise ulimit -v, or set LIONSTORE_JAVA_OPTS=-Xmx128m"
        ) from failure


def _table(environment: ctypes.c_void_p) -> int:
    pointer = ctypes.c_void_p
    functions = ctypes.cast(
        ctypes.cast(environment, ctypes.POINTER(pointer))[0], ctypes.POINTER(pointer)
    )

    def jni(index: int, result: Any, *kinds: Any) -> Any:
        return ctypes.CFUNCTYPE(result, pointer, *kinds)(functions[index])

    name = b"dev/lionstore/python/Abi"
    owner = jni(_FIND_CLASS, pointer, ctypes.c_char_p)(environment, name)
    if owner:
        find = jni(_GET_STATIC_METHOD, pointer, pointer, ctypes.c_char_p, ctypes.c_char_p)
        method = find(environment, owner, b"table", b"()J")
        call = jni(_CALL_STATIC_LONG, ctypes.c_int64, pointer, pointer, pointer)
        table: int = call(environment, owner, method, None)
    if jni(_EXCEPTION_OCCURRED, pointer)(environment):
        jni(_EXCEPTION_DESCRIBE, None)(environment)
        raise errors.RuntimeMissingError(f"the jars in {_runtime.HOME} do not fit its runtime; see above")
    return table


_lock = threading.Lock()
_java: Java | None = None


def java() -> Java:
    """The runtime, started on first use; there is one in a process."""
    global _java
    with _lock:
        if _java is None:
            _java = Java()
    return _java
