"""A job on two machines, one of which is lost: ``python -m tests.jobs.two_machines RUNS DATA FEWEST``.

The machines are two raylets on this one, with a CPU each; the job has FEWEST to 2 workers. Leaves its history as JSON.
"""

import json
import os
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

from pipeline.jobs.resources import ResourcesParams, _free_port
from pipeline.jobs.train import train
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training.experiment import describe
from pipeline.training.step import PLAIN
from stages.cli_errors import exit_on_user_error
from tests.jobs.victims import Stranded
from tests.noise import BASELINE, changed

MACHINE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def main(runs, data, fewest):
    port = _free_port()
    os.environ["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{port}"
    dashboard = {"include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port}
    cluster = Cluster(initialize_head=True, head_node_args={**MACHINE, **dashboard})
    second = cluster.add_node(**MACHINE)
    cluster.wait_for_nodes()
    os.environ["RAY_ADDRESS"] = cluster.address
    struck = runs / "struck"
    struck.with_suffix(".raylet").write_text(str(second.all_processes["raylet"][0].process.pid))
    job = describe("stranded", changed(BASELINE, settings__struck=str(struck)), Stranded, data, runs)
    try:
        resources = ResourcesParams(workers=[fewest, 2], cpus_per_worker=1, retries=1, **dict(PLAIN))
        (runs / "history.json").write_text(json.dumps(train(job, resources, MetricsWriter(None))))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    with exit_on_user_error():
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
