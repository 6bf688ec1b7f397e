"""Commands whose outputs lie on a full disk, a read-only one, or are mount points.

``python -m tests.faults.full_output_victim PROJECT`` may mount; it prints as JSON what each command said, by its kind.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from stages.__main__ import main as reid

OUTPUTS = {
    "prepare": (("prepare", "small"), "data/prepared"),
    "cluster": (("cluster", "teacher", "--start"), "artifacts/cluster"),
    "evaluate": (("evaluate", "pretrain"), "artifacts/evaluate"),
    "evaluate --out": (("evaluate", "pretrain", "--out", "elsewhere/scores"), "elsewhere"),
    "tables": (("tables",), "artifacts/tables"),
    "report": (("report",), "artifacts/report"),
}
REPLACED = {
    "prepare": (("prepare", "small"), "data/prepared/small"),
    "train": (("train", "pretrain", "--seed", "5"), "artifacts/runs/pretrain/seed5/train"),
}


def mount(*words):
    subprocess.run(["mount", *words], check=True)


@contextmanager
def mounted(place, size="16k"):
    """Within it, a small disk lies on top of what is at a place."""
    place.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def fill(place):
    with (place / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def said(words):
    try:
        with redirect_stdout(sys.stderr):
            reid(words)
    except SystemExit as end:
        return str(end.code)
    except Exception as error:
        return f"a traceback: {type(error).__name__}: {error}"
    return "nothing"


def main(project):
    os.chdir(project)
    told = {"full": {}, "read-only": {}, "mount point": {}}
    with redirect_stdout(sys.stderr):
        reid(["evaluate", "pretrain"])
    for name, (words, place) in OUTPUTS.items():
        with mounted(Path(place)):
            fill(Path(place))
            told["full"][name] = said(words)
            mount("-o", "remount,ro", place)
            told["read-only"][name] = said(words)
    for name, (words, place) in REPLACED.items():
        with mounted(Path(place), "64m"):
            told["mount point"][name] = said(words)
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
