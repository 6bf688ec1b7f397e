from pathlib import Path

import pytest

from pipeline.tracking.address import VARIABLE, masked, refuse_unusable, unmasked


@pytest.mark.parametrize(
    "address",
    [
        *(
            "foo://bar",
            "localhost:5000",
            "file:///tmp/mlruns",
            "./mlruns",
            "http://",
            "http://host:port",
            "http://h:0",
            "postgresql://h/n",
        ),
        *("sqlite://", "sqlite:///", "postgresql+nosuch://host/name", "http://[::1", "mongodb://host"),
    ],
)
def test_an_address_to_which_nothing_can_ever_be_sent_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=f"{VARIABLE} is .*: .*(expected|its driver is not installed)"):
        refuse_unusable(address)


def test_a_database_that_cannot_be_made_or_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"garbage\.db is no database of SQLite: move it away"):
        refuse_unusable(f"sqlite:///{tmp_path}/garbage.db")
    with pytest.raises(ValueError, match=r"there is no folder .*absent: make it"):
        refuse_unusable(f"sqlite:///{tmp_path}/absent/mlflow.db")
    (tmp_path / "empty.db").touch()
    for good in ("new.db", "empty.db"):
        refuse_unusable(f"sqlite:///{tmp_path}/{good}")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://ann:pw@host", "databricks", "databricks://profile"])
def test_an_address_that_may_answer_some_day_is_taken(address: str) -> None:
    refuse_unusable(address)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:s3cret@host/db",
        "http://ann:p@s3cret@host:5000",
        "http://:s3cret@host",
        "gone: http://host/x?token=s3cret&y=1 (again)",
        "HTTPError for url: https://ann:s3cret@host:5000/api?password=s3cret",
    ],
)
def test_no_password_is_shown(text: str) -> None:
    assert "s3cret" not in masked(text)
    assert "host" in masked(text)


def test_a_password_comes_from_the_environment_alone() -> None:
    address = "http://ann:s3cret@host:5000"
    assert unmasked(masked(address), {VARIABLE: address}) == address
    assert unmasked("http://host:5000", {}) == "http://host:5000"
    with pytest.raises(ValueError, match=r"set MLFLOW_TRACKING_URI to http://ann:\*\*\*@host:5000 with its password"):
        unmasked(masked(address), {VARIABLE: "http://ann:s3cret@elsewhere"})
