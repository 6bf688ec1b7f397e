"""How workers on one machine find each other: by a file, since torch's server of it listens on every interface."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray
import ray.util
from ray.train.torch import TorchConfig
from ray.train.torch.config import (
    _set_torch_distributed_env_vars,
    _setup_torch_process_group,
    _TorchBackend,
)

LOOPBACK = "127.0.0.1"


def rendezvous(folder: Path) -> TorchConfig:
    """Returns how workers meet: on an instance of this machine alone by a file in ``folder``, else as Ray does it."""
    return ByFile(folder=str(folder)) if ray.util.get_node_ip_address() == LOOPBACK else TorchConfig()


@dataclass
class ByFile(TorchConfig):
    """Workers of one machine, who meet by a new file in ``folder`` and talk over loopback."""

    folder: str = ""

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        """What Ray starts."""
        return _ByFile


class _ByFile(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        """Joins the workers, by gloo or NCCL."""
        meeting = Path(backend_config.folder, f"rendezvous-{uuid.uuid4().hex[:12]}")
        meeting.parent.mkdir(parents=True, exist_ok=True)
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) > 0 else "gloo"
        worker_group.execute(_set_torch_distributed_env_vars)
        worker_group.execute(_stay_on_loopback)
        joining = [
            worker_group.execute_single_async(
                rank,
                _setup_torch_process_group,
                backend=backend,
                world_rank=rank,
                world_size=len(worker_group),
                init_method=f"file://{meeting}",
                timeout_s=backend_config.timeout_s,
            )
            for rank in range(len(worker_group))
        ]
        ray.get(joining)


def _stay_on_loopback() -> None:
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == LOOPBACK for address in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
