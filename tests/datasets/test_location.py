from pathlib import Path

import pytest

from pipeline.datasets.location import locate


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REID_DATA", raising=False)
    monkeypatch.delenv("REID_DATA_MARKET1501", raising=False)


def test_data_lies_in_the_ignored_folder_unless_a_variable_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate("market1501") == Path("data/raw/market1501")
    monkeypatch.setenv("REID_DATA", "/sets")
    assert locate("market1501") == Path("/sets/market1501")
    monkeypatch.setenv("REID_DATA_MARKET1501", "/elsewhere/Market-1501-v15.09.15")
    assert locate("market1501") == Path("/elsewhere/Market-1501-v15.09.15")
    assert locate("dukemtmc") == Path("/sets/dukemtmc")
