"""The errors, one type for each cause. Every message says what happened, where, and what to do."""

from __future__ import annotations


class LionstoreError(Exception):
    """Any failure that Lionstore reports."""


class ArgumentError(LionstoreError, ValueError):
    """An argument is out of bounds, or a store cannot hold a value."""


class MismatchError(LionstoreError, ValueError):
    """The store holds another model; the message names the differences."""


class BusyError(LionstoreError, OSError):
    """Another optimizer, in this process or another one, is writing the store."""


class UnusableError(LionstoreError, OSError):
    """The store cannot be trusted: restore a snapshot."""


class FormatError(LionstoreError, OSError):
    """A file breaks the rules of its format."""


class NoSpaceError(LionstoreError, OSError):
    """A store or snapshot does not fit on the file system where it is to be made."""


class ExistsError(LionstoreError, FileExistsError):
    """Something else is in the place of a new store or snapshot."""


class MissingError(LionstoreError, FileNotFoundError):
    """No store, snapshot or folder of that name exists."""


class SystemFailure(LionstoreError, OSError):
    """The operating system refuses to read or write."""


class DeviceError(LionstoreError, RuntimeError):
    """An OpenCL device has failed; opening the store again finishes the step."""


class NotFiniteError(LionstoreError, ArithmeticError):
    """A gradient is NaN or infinite; the state is as it was."""


class StateError(LionstoreError, RuntimeError):
    """The operation is not allowed now: something is closed, in progress, or in the wrong mode."""


class JavaMemoryError(LionstoreError, MemoryError):
    """The Java runtime has used up its memory, or finds too little to start; LIONSTORE_JAVA_OPTS=-Xmx2g allows more."""


class RuntimeMissingError(LionstoreError, ImportError):
    """The wheel's Java runtime is missing or does not start."""


class ForkError(LionstoreError, RuntimeError):
    """A forked child has used its parent's optimizer; the Java runtime exists only in the parent."""


class UnexpectedError(LionstoreError, RuntimeError):
    """An unexpected failure; the message is its Java stack trace."""


BY_NUMBER: dict[int, type[LionstoreError]] = {
    1: UnexpectedError,
    2: ArgumentError,
    3: MismatchError,
    4: BusyError,
    5: UnusableError,
    6: FormatError,
    7: NoSpaceError,
    8: ExistsError,
    9: MissingError,
    10: SystemFailure,
    11: DeviceError,
    12: NotFiniteError,
    13: StateError,
    14: JavaMemoryError,
}
"""The numbers of dev.lionstore.python.Failure."""
