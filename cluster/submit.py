"""``ray submit cluster/launcher.yaml cluster/submit.py -- TARGET ...``: runs ``dvc repro`` on the head, for all nodes.

The launcher copies this file to the head and runs it there; all else is in the shared checkout that the environment
names (``cluster/environment.sh``). Trainings with workers join the cluster, every other stage runs on the head.
"""

import os
import subprocess
import sys


def main() -> None:
    """Ends as ``dvc repro`` does, once the tracking server has what was recorded."""
    os.environ["RAY_ADDRESS"] = f"{os.environ['REID_HEAD']}:6379"
    os.chdir(os.environ["REID_SHARED"])
    status = subprocess.call(["dvc", "repro", *sys.argv[1:]])
    subprocess.call([sys.executable, "-m", "pipeline.tracking.recorder"])
    sys.exit(status)


if __name__ == "__main__":
    main()
