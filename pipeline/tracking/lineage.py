"""Where a run belongs: the process that runs the pipeline, and the data as DVC knows it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil
import yaml


def pipeline_process() -> dict[str, Any]:
    """Returns ``{host, pid, started, name, key}`` of the ``dvc`` process above this one, else of this one.

    ``name`` is for people; ``key`` is the same for all stages of one execution, and for no other execution.
    """
    process = psutil.Process()
    for above in process.parents():
        try:
            program = [Path(word).name for word in above.cmdline()[:3]]
        except psutil.Error:
            continue
        if "dvc" in program:
            process = above
            break
    started = process.create_time()
    return {
        "host": os.uname().nodename,
        "pid": process.pid,
        "started": started,
        "key": os.environ.get("DVC_EXP_NAME") or f"{os.uname().nodename}-{process.pid}-{started:.0f}",
        "name": os.environ.get("DVC_EXP_NAME") or time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started)),
    }


def is_running(process: dict[str, Any]) -> bool:
    """Returns whether ``process`` (of :func:`pipeline_process`) still lives on this host."""
    if process["host"] != os.uname().nodename:
        return False
    try:
        found = psutil.Process(process["pid"])
        return found.status() != psutil.STATUS_ZOMBIE and abs(found.create_time() - process["started"]) < 1
    except psutil.NoSuchProcess:
        return False


def dvc_hash(root: Path, path: str) -> str:
    """Returns DVC's hash of ``path``, or of the stage output it lies in, or ``unknown``.

    While a stage runs, ``dvc.lock`` is current for what earlier stages made and stale for the stage itself,
    so only the outs of stages are looked at.
    """
    hashes = {}
    for lock in (root / "dvc.lock", root / "studies" / "dvc.lock"):
        for stage in _stages(lock).values():
            hashes.update({out["path"]: str(out.get("md5", "unknown")) for out in stage.get("outs", [])})
    for place in (Path(path), *Path(path).parents):
        if place.as_posix() in hashes:
            return hashes[place.as_posix()]
    return "unknown"


def dvc_outs(root: Path, address: str) -> dict[str, str]:
    """Returns path -> DVC hash of what stage ``address`` (as in DVC_STAGE) made when it last ended well."""
    file, _, name = address.rpartition(":")
    lock = (root / (file or "dvc.yaml")).with_suffix(".lock")
    outs = _stages(lock).get(name, {}).get("outs", [])
    return {out["path"]: str(out.get("md5", "unknown")) for out in outs}


def hashes_in_use(root: Path) -> set[str]:
    """Returns DVC's hashes of all that the lock files of a project say its stages have made."""
    locks = (root / "dvc.lock", root / "studies" / "dvc.lock")
    outs = [out for lock in locks for stage in _stages(lock).values() for out in stage.get("outs", [])]
    return {str(out["md5"]) for out in outs if "md5" in out}


def _stages(lock: Path) -> dict[str, Any]:
    if not lock.is_file():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return (yaml.load(lock.read_text(), Loader=loader) or {}).get("stages", {})
