"""Where a result comes from: the commit, the versions, the code that ran, the content of its inputs."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MOVES_RESULTS = ("pipeline", "stages", "params.yaml", "dvc.yaml", "studies/dvc.yaml", "constraints.txt")
PACKAGES = ("torch", "torchvision", "ray", "mlflow", "dvc", "numpy", "pandas", "scikit-learn")


@cache
def git_commit() -> str:
    """Returns the commit of the checkout, with ``-dirty`` when something that moves results differs from it.

    ``unknown`` where this folder is not a checkout of its own, such as an unpacked source archive.
    """
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return "unknown"
        return _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--porcelain", "--", *MOVES_RESULTS) else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*words: str) -> str:
    answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    return answer.stdout.strip()


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Returns the name of this machine's processor."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def digest(value: Any) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of ``value`` as canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def code_digest(*packages: str) -> str:
    """Returns a digest of the source of every module of ours, below ``packages``, that this process has loaded."""
    sources = {
        name: file_digest(Path(str(module.__file__)))
        for name, module in sorted(sys.modules.items())
        if name.startswith(packages) and getattr(module, "__file__", None)
    }
    return digest(sources)
