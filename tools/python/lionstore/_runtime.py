"""The Java runtime that the wheel brings: where it is, and the flags that it starts with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import List

from . import errors

HOME = Path(os.environ.get("LIONSTORE_JAVA", Path(__file__).with_name("java")))


def require(path: str) -> Path:
    """A file of the runtime.

    :raises RuntimeMissingError: if it is not there
    """
    file = HOME / path
    if not file.exists():
        raise errors.RuntimeMissingError(
            f"{file} is missing: install the lionstore wheel, which brings it"
            " (tools/bin/wheel builds one)"
        )
    return file


def flags() -> List[str]:
    """What every use of the runtime starts with; the cache fits no other class path."""
    lines = require("jvm.options").read_text().splitlines()
    jars = ":".join(str(jar) for jar in sorted((HOME / "jars").glob("*.jar")))
    return [
        *(line for line in lines if line and not line.startswith("#")),
        f"-Djava.class.path={jars}",
        f"-XX:AOTCache={HOME / 'classes.aot'}",
        # A cache that the runtime does not take costs time, and nothing else.
        "-Xlog:aot=off",
        "-Xlog:cds=off",
    ]


def users_flags() -> List[str]:
    """The flags that the user adds.

    :raises ArgumentError: if a quotation mark is missing
    """
    flags = os.environ.get("LIONSTORE_JAVA_OPTS", "")
    try:
        return shlex.split(flags)
    except ValueError as failure:
        raise errors.ArgumentError(f"LIONSTORE_JAVA_OPTS is {flags}: {failure}") from failure
