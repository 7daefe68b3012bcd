"""Builds the wheel, with nothing but the standard library; tools/bin/wheel calls it.

The Java half and a runtime for it are made by tools/bin/wheel first, in target/java. The wheel's
bytes depend on its files alone: equal files give an equal wheel.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# The runtime needs glibc 2.17 (its libraries' newest symbol), and this processor.
TAG = "py3-none-manylinux_2_17_x86_64"
EPOCH = (2026, 1, 1, 0, 0, 0)


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel into a folder and gives its name (PEP 517)."""
    version = _project("version")
    name = f"lionstore-{version}-{TAG}.whl"
    info = f"lionstore-{version}.dist-info"
    files = _package_files()
    files[f"{info}/METADATA"] = _metadata(version)
    files[f"{info}/WHEEL"] = _wheel().encode()
    files[f"{info}/LICENSE"] = (HERE.parents[1] / "LICENSE").read_bytes()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    partial = Path(wheel_directory) / f".{name}.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:
        for path in files:
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, files[path])
    partial.replace(Path(wheel_directory) / name)
    return name


def _package_files() -> dict[str, bytes]:
    files = {}
    for root, prefix in [(HERE / "lionstore", "lionstore"), (HERE / "target/java", "lionstore/java")]:
        if not root.is_dir():
            sys.exit(f"{root} is missing: run tools/bin/wheel, which makes it")
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                files[f"{prefix}/{path.relative_to(root)}"] = path.read_bytes()
    return files


def _project(key: str) -> str:
    text = (HERE / "pyproject.toml").read_text()
    found = re.search(rf'^{key} = "(.*)"$', text, re.MULTILINE)
    assert found, f"pyproject.toml has no {key}"
    return found[1]


def _metadata(version: str) -> bytes:
    lines = [
        "Metadata-Version: 2.1",
        "Name: lionstore",
        f"Version: {version}",
        f"Summary: {_project('description')}",
        f"Requires-Python: {_project('requires-python')}",
        "License: Apache-2.0",
        "Classifier: Operating System :: POSIX :: Linux",
        # PyTorch is the user's own, whichever build: a dependency would replace Debian's or CUDA's.
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines).encode() + b"\n\n" + (HERE / "README.md").read_bytes()


def _wheel() -> str:
    return f"Wheel-Version: 1.0\nGenerator: lionstore\nRoot-Is-Purelib: false\nTag: {TAG}\n"


def _record(files: dict[str, bytes], record: str) -> bytes:
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{record},,", ""]).encode()


if __name__ == "__main__":
    print(Path(sys.argv[1]) / build_wheel(sys.argv[1]))
