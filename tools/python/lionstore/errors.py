"""What can go wrong, one type for each way; every message says what, where and what to do."""

from __future__ import annotations


class LionstoreError(Exception):
    """Any failure of Lionstore's own."""


class ArgumentError(LionstoreError, ValueError):
    """A value that the optimizer was called with is out of its bounds."""


class MismatchError(LionstoreError, ValueError):
    """The store holds another model: the message names what differs."""


class BusyError(LionstoreError, OSError):
    """Another optimizer, in this process or another one, is writing the store."""


class UnusableError(LionstoreError, OSError):
    """The store cannot be trusted, or no longer; a snapshot is the way back."""


class FormatError(LionstoreError, OSError):
    """A file is not what its format says."""


class NoSpaceError(LionstoreError, OSError):
    """The store, or a snapshot, does not fit where it was to be made."""


class ExistsError(LionstoreError, FileExistsError):
    """Something else is where a store or snapshot was to be made."""


class MissingError(LionstoreError, FileNotFoundError):
    """There is no store, snapshot or folder of that name."""


class SystemFailure(LionstoreError, OSError):
    """The system refuses to read or write."""


class DeviceError(LionstoreError, RuntimeError):
    """An OpenCL device has failed; a store opened again finishes the step."""


class NotFiniteError(LionstoreError, ArithmeticError):
    """A gradient is NaN or infinite; the state is as it was."""


class StateError(LionstoreError, RuntimeError):
    """Something was closed, or is under way."""


class JavaMemoryError(LionstoreError, MemoryError):
    """The Java runtime's own memory is used up (LIONSTORE_JAVA_OPTS=-Xmx2g allows more)."""


class RuntimeMissingError(LionstoreError, ImportError):
    """The Java runtime that the wheel brings is not there or does not start."""


class ForkError(LionstoreError, RuntimeError):
    """A forked child has used an optimizer of its parent: the Java runtime is in the parent alone."""


class UnexpectedError(LionstoreError, RuntimeError):
    """A failure that nobody foresaw; the message is its Java stack trace."""


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
