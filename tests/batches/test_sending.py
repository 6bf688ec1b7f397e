import numpy as np
import pytest
import torch

from pipeline.batches.sending import send, send_together
from tests.fake_cuda.fake_cuda import CPU, GPU, pretended

COLUMNS = {
    "rows": np.array([2**53 - 1, 0, -7]),
    "is_infrared": np.array([True, False, True]),
    "draws": np.array([[0.1, 1 / 3], [2.0**-53, 0.7], [0.0, 1.0]]),
}


@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
def test_columns_arrive_as_they_were_sent(device):
    with pretended() as log:
        found = send_together(COLUMNS, device)
        for name, values in COLUMNS.items():
            assert found[name].device == device
            arrived = found[name].cpu().numpy()
            assert arrived.dtype == values.dtype
            assert np.array_equal(arrived, values)
    assert log.copies.total() == (device == GPU)


def test_a_gpu_is_not_waited_for():
    with pretended() as log:
        assert torch.equal(send(COLUMNS["rows"], GPU).elem, torch.from_numpy(COLUMNS["rows"]))
    assert not log.waits
