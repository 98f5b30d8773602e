"""llama.cpp's own converter, of the very version that the installed llama-cpp-python was built from.

The wheel does not carry it, the source distribution does (``vendor/llama.cpp``), with the gguf-py that belongs to it. It is
fetched once through pip, checked against a known sum, and kept in the workspace.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

from testing_crew.errors import BackendUnavailable
from trace_logger.workspace import workspace

PACKAGE = "llama-cpp-python"
SHA256 = {"0.3.36": "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"}
_WANTED = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion/", "gguf-py/", "LICENSE")


def converter_folder() -> Path:
    """The folder that holds ``convert_hf_to_gguf.py``; fetched on first use (77 MB, once).

    Raises BackendUnavailable when llama-cpp-python is missing, the download fails, or its sum is not the known one.
    """
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise BackendUnavailable(f"{PACKAGE} is not installed", hint="pip install 'testing-crew[local]'") from None
    folder = workspace() / "llama.cpp" / version
    if not (folder / "convert_hf_to_gguf.py").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = _download(version, Path(scratch))
            _check_sum(archive, version)
            _unpack(archive, Path(scratch) / "whole")
            shutil.rmtree(folder, ignore_errors=True)
            (Path(scratch) / "whole").rename(folder)
    return folder


def _download(version: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        PACKAGE,
        "--dest",
        str(folder),
    ]
    done = subprocess.run([*command, f"{PACKAGE}=={version}"], capture_output=True, text=True)
    archives = list(folder.glob("*.tar.gz"))
    if done.returncode or not archives:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise BackendUnavailable(
            f"the source distribution of {PACKAGE} {version} could not be fetched: {reason}",
            hint="it carries llama.cpp's converter; connect once, then this works offline",
        )
    return archives[0]


def _check_sum(archive: Path, version: str) -> None:
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    known = SHA256.get(version)
    if known is None:
        raise BackendUnavailable(
            f"no known checksum for {PACKAGE} {version}", hint=f"install a version that was tested: {', '.join(SHA256)}"
        )
    if found != known:
        raise BackendUnavailable(f"{archive.name} has the checksum {found}, not {known}", hint="fetch it again")


def _unpack(archive: Path, folder: Path) -> None:
    """Only the converter's own files, and only plain ones."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = member.name.partition("/vendor/llama.cpp/")[2]
            if member.isfile() and inside.startswith(_WANTED) and ".." not in Path(inside).parts:
                source = tar.extractfile(member)
                assert source is not None
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
