"""A student of MSKD to be killed: ``python -m tests.faults.mskd_victim RUN_FOLDER HEARTBEAT`` says where it is."""

import dataclasses
import os
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from pipeline.clustering import pseudo_labels
from pipeline.methods.mskd.method import MSKD
from pipeline.training import experiment
from tests.faults.heartbeat import Heartbeat
from tests.noise import MSKD as TEACHER
from tests.noise import changed, write_store

EPOCHS = 3
STUDENT = {"teacher": "teacher", "mimicry_weight": 1.0, "mimicked": "all", "teacher_statistics": "batch"}
BLOCK = changed(TEACHER, training__epochs=EPOCHS, training__precision="float32", settings__student=STUDENT)


def write_inputs(folder):
    """Writes a store of noise and a teacher's weights into the folder that victims run in."""
    write_store(folder / "store")
    params = MSKD.params_type.model_validate(BLOCK["settings"])
    (folder / "teacher").mkdir()
    network = MSKD(params, num_classes=1, height=32, width=16, seed=7).network
    save_file(network.state_dict(), folder / "teacher" / "model.safetensors")


def main(run_folder, heartbeat):
    """Trains slowly; each beat is ``epoch clustering|step count``; clustering beats between distances and DBSCAN."""
    torch.set_num_threads(1)
    os.chdir(run_folder.parent)
    heart = Heartbeat(heartbeat)
    dbscan = pseudo_labels.dbscan

    def dbscan_slowly(*arguments, **settings):
        heart.beat("clustering")
        time.sleep(0.2)
        return dbscan(*arguments, **settings)

    pseudo_labels.dbscan = dbscan_slowly
    job = experiment.describe("student", BLOCK, heart.slowed(MSKD), Path("store"), Path("runs"))
    job = dataclasses.replace(job, run_folder=run_folder)
    experiment.run(job, lambda metrics: None, torch.device("cpu"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
