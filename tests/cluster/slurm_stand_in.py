"""Stands in for Slurm: ``scontrol``, ``srun`` on the first machine of a job, and what starts its part on the second.

The environment names by STAND_IN a folder that both machines see. A step lies there as a file: what to run, and how.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("STAND_IN", "."))
NODES = "reid-head\nreid-worker\n"


def scontrol(what, *words):
    """Tells the machines of a job; a job to be queued again is noted, and that is all."""
    if what == "show":
        print(NODES, end="")
    else:
        with (FOLDER / "scontrol.log").open("a") as log:
            print(what, *words, file=log)


def srun(*words):
    """Runs a command on both machines, and ends when it has ended on both, with the greater status."""
    command = words[words.index("ray") :]
    step = FOLDER / f"{time.time_ns()}.step"
    draft = step.with_suffix(".draft")
    draft.write_text(json.dumps({"command": command, "environment": dict(os.environ), "folder": str(Path.cwd())}))
    draft.rename(step)
    own = subprocess.call(command)
    ended = step.with_suffix(".status")
    while not ended.exists():
        time.sleep(0.1)
    sys.exit(max(own, int(ended.read_text())))


def node():
    """On the second machine: runs each step that comes, for ever."""
    while True:
        for step in FOLDER.glob("*.step"):
            asked = json.loads(step.read_text())
            step.unlink()
            status = subprocess.call(asked["command"], env=asked["environment"], cwd=asked["folder"])
            draft = step.with_suffix(".new")
            draft.write_text(str(status))
            draft.rename(step.with_suffix(".status"))
        time.sleep(0.1)


if __name__ == "__main__":
    {"scontrol": scontrol, "srun": srun, "node": node}[sys.argv[1]](*sys.argv[2:])
