"""What pages call the same on every machine, under the instructions of several processors.

After a change that is meant to move it: python tests/same_everywhere/fingerprints.py > tests/golden/fingerprints.json
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/golden/fingerprints.json").read_text())
AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
PROCESSORS = {
    "this one": {},
    "AVX2": {"NPY_DISABLE_CPU_FEATURES": AVX512, "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "SSE4": {
        "NPY_DISABLE_CPU_FEATURES": f"X86_V3 {AVX512}",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "generic, one thread": {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    },
}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_processor_has_the_committed_fingerprints(processor: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | PROCESSORS[processor]
    command = [sys.executable, "-W", "ignore", str(HERE / "fingerprints.py")]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout) == GOLDEN
