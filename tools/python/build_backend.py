"""Builds the wheel and the source archive for pip, python -m build and tools/bin/wheel (PEP 517).

Nothing but the standard library is needed. tools/bin/wheel makes the Java half and a runtime for it
in target/java. An archive's bytes depend on its files alone: equal files give an equal archive.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # before Python 3.11
    from pip._vendor import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"{PROJECT['name']}-{PROJECT['version']}"
INFO = f"{NAME}.dist-info"
# The runtime needs glibc 2.17 (its libraries' newest symbol), and this processor.
TAG = "py3-none-manylinux_2_17_x86_64"
DATE = (2026, 1, 1, 0, 0, 0)
DATE_SECONDS = 1_767_225_600
LIBRARIES = "licenses/LIBRARIES.txt"
EXECUTABLE = {f"lionstore/java/runtime/{path}" for path in ("bin/java", "lib/jspawnhelper")}
BUILT = {"target", "__pycache__", ".git"}


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds the wheel into a folder, its Java half first, and gives its name."""
    # A front end reads no more than the last line on stdout.
    subprocess.run([ROOT / "tools/bin/wheel", "--java"], check=True, stdout=sys.stderr)
    return pack_wheel(wheel_directory)


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Builds the source archive into a folder and gives its name."""
    name = f"{NAME}.tar.gz"
    partial = Path(sdist_directory) / f".{name}.partial"
    with partial.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, "PKG-INFO", _metadata(), 0o644)
            for path in _sources():
                mode = 0o755 if os.access(ROOT / path, os.X_OK) else 0o644
                _add(archive, path, (ROOT / path).read_bytes(), mode)
    partial.replace(Path(sdist_directory) / name)
    return name


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict[str, Any] | None = None
) -> str:
    """Writes what describes the wheel, without building it, and gives the folder's name."""
    for path, content in _info().items():
        file = Path(metadata_directory) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return INFO


def pack_wheel(directory: str) -> str:
    """Packs the wheel from what tools/bin/wheel has made and gives its name."""
    name = f"{NAME}-{TAG}.whl"
    _require_licenses()
    files = {**_package_files(), **_info()}
    partial = Path(directory) / f".{name}.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for path, content in {**files, f"{INFO}/RECORD": _record(files)}.items():
            entry = zipfile.ZipInfo(path, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # An installer keeps this mode; without it, the runtime could not be started.
            mode = 0o755 if path in EXECUTABLE else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, content)
    partial.replace(Path(directory) / name)
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


def _require_licenses() -> None:
    """A library is in the wheel with its licence, or not at all."""
    listed = set((HERE / LIBRARIES).read_text().split())
    for jar in sorted((HERE / "target/java/jars").glob("*.jar")):
        library = re.sub(r"-\d.*", "", jar.name)
        if library not in listed and not library.startswith("lionstore-"):
            sys.exit(f"{HERE / LIBRARIES} has no licence of {library}, which {jar} is: add a line")


def _info() -> dict[str, bytes]:
    scripts = "".join(f"{name} = {function}\n" for name, function in PROJECT["scripts"].items())
    return {
        f"{INFO}/METADATA": _metadata(),
        f"{INFO}/WHEEL": _wheel().encode(),
        f"{INFO}/entry_points.txt": f"[console_scripts]\n{scripts}".encode(),
        **{f"{INFO}/licenses/{path}": (ROOT / path).read_bytes() for path in _licenses()},
    }


def _licenses() -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for pattern in PROJECT["license-files"]
        for path in sorted(ROOT.glob(pattern))
    ]


def _metadata() -> bytes:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {PROJECT['name']}",
        f"Version: {PROJECT['version']}",
        f"Summary: {PROJECT['description']}",
        f"Requires-Python: {PROJECT['requires-python']}",
        f"License-Expression: {PROJECT['license']}",
        *(f"License-File: {path}" for path in _licenses()),
        f"Keywords: {','.join(PROJECT['keywords'])}",
        *(f"Classifier: {classifier}" for classifier in PROJECT["classifiers"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines).encode() + b"\n\n" + (ROOT / PROJECT["readme"]).read_bytes()


def _wheel() -> str:
    return f"Wheel-Version: 1.0\nGenerator: lionstore\nRoot-Is-Purelib: false\nTag: {TAG}\n"


def _record(files: dict[str, bytes]) -> bytes:
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{INFO}/RECORD,,", ""]).encode()


def _sources() -> list[str]:
    """What the project is built from: what git knows, or everything in an unpacked archive."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True
        )
        paths = [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]
    else:
        paths = [
            str(path.relative_to(ROOT))
            for path in ROOT.rglob("*")
            if path.is_file() and not BUILT.intersection(path.relative_to(ROOT).parts)
        ]
    return sorted(path for path in paths if path != "PKG-INFO")


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(f"{NAME}/{path}")
    entry.size, entry.mode, entry.mtime = len(content), mode, DATE_SECONDS
    archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    print(Path(sys.argv[1]) / pack_wheel(sys.argv[1]))
