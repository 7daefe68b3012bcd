"""The command ``lionstore``, and ``python -m lionstore``: the process becomes a Java runtime's."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from . import _runtime, errors

# They end before code of the optimizing compiler would pay for making it.
_SHORT = ("inspect", "snapshots")


def main() -> NoReturn:
    """Runs the command line with this process's arguments, signals and exit code."""
    arguments = sys.argv[1:]
    is_short = not arguments or arguments[0] in _SHORT or arguments[0].startswith("-")
    try:
        java = str(_runtime.require("runtime/bin/java"))
        flags = [
            *_runtime.flags(),
            *(["-XX:TieredStopAtLevel=1"] if is_short else []),
            *_runtime.users_flags(),
        ]
        os.execv(java, [java, *flags, "dev.lionstore.cli.Main", *arguments])
    except errors.LionstoreError as failure:
        sys.exit(f"lionstore: {failure}")
    except OSError as failure:
        sys.exit(
            f"lionstore: {java} does not start ({failure.strerror}): install the wheel in a folder"
            " whose programs may be executed"
        )


if __name__ == "__main__":
    main()
