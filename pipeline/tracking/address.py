"""The address of the tracking store: what it may be, and how it is shown; a password in it is written nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

SQLITE, VARIABLE = "sqlite:///", "MLFLOW_TRACKING_URI"
DATABASES = ("postgresql", "mysql", "mssql")
EXPECTED = (
    "expected http://HOST:PORT, https://HOST, sqlite:////ABSOLUTE/PATH.db, or postgresql://USER@HOST/NAME; without "
    f"{VARIABLE} it is mlflow.db in the project's folder"
)
MASK = "***"
SECRETS = re.compile(r"(?<=://)([^\s/:@]*):([^\s/]*)@|([?&](?:password|passwd|pwd|token|secret)=)[^&\s'\"]*", re.I)


def tracking_uri(root: Path) -> str:
    """Returns the address that the environment names, or that of the database in the project's folder."""
    return os.environ.get(VARIABLE) or f"{SQLITE}{root / 'mlflow.db'}"


def masked(text: str) -> str:
    """Returns a text without the passwords of the addresses in it.

    >>> masked("no answer from https://ann:secret@host:5000/x?token=abc")
    'no answer from https://ann:***@host:5000/x?token=***'
    """
    return SECRETS.sub(lambda found: f"{found[3]}{MASK}" if found[3] else f"{found[1]}:{MASK}@", text)


def unmasked(address: str, environment: Mapping[str, str]) -> str:
    """Returns an address with its password, which the environment has.

    Raises:
        ValueError: when it is of another address.
    """
    known = environment.get(VARIABLE, "")
    if masked(known) == address:
        return known
    if MASK in address:
        raise ValueError(f"set {VARIABLE} to {address} with its password, which is written nowhere")
    return address


def refuse_unusable(address: str) -> None:
    """Ensures that runs can be sent to an address some day, whether or not something answers there now.

    Raises:
        ValueError: saying what was expected.
    """
    where = f"{VARIABLE} is {masked(address)!r}"
    try:
        parts = urlsplit(address)
        scheme = parts.scheme.partition("+")[0]
        host = parts.hostname if parts.port is None or parts.port else None
    except ValueError:
        raise ValueError(f"{where}: {EXPECTED}") from None
    if scheme in ("http", "https") and host:
        return
    if scheme == "databricks" or address == "databricks":
        return
    if scheme == "sqlite" and address.startswith(SQLITE) and len(address) > len(SQLITE):
        _refuse_file(Path(address.removeprefix(SQLITE)), where)
    elif scheme in DATABASES:
        _refuse_driver(address, where)
    else:
        raise ValueError(f"{where}: {EXPECTED}")


def _refuse_driver(address: str, where: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(address).get_dialect().import_dbapi()
    except ImportError as error:
        raise ValueError(f"{where}: its driver is not installed ({error}): pip install it") from None
    except ArgumentError as error:
        raise ValueError(f"{where}: {masked(str(error))}; {EXPECTED}") from None


def _refuse_file(file: Path, where: str) -> None:
    if not file.parent.is_dir():
        raise ValueError(f"{where}: there is no folder {file.parent}: make it, or name another")
    if file.exists():
        with file.open("rb") as opened:
            if (head := opened.read(16)) and head != b"SQLite format 3\0":
                raise ValueError(f"{where}: {file} is no database of SQLite: move it away, or name another")
