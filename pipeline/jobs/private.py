"""What a local Ray instance leaves on a machine that others use too: its token and its sessions are for one user."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
from pathlib import Path


def ensure_private_token() -> None:
    """Ensures that nobody else can read the token with which Ray is asked: who has it runs anything.

    Ray would write one that all can read; so it is written before Ray looks for it.

    Raises:
        ValueError: when others can read the one that is there.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.touch(0o600)
        draft.write_text(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):  # another process was quicker
            file.hardlink_to(draft)
        draft.unlink()
    elif is_readable_by_others(file):
        raise ValueError(
            f"{file} can be read by others, and who has this token can run anything as you: end what Ray runs and "
            "remove it, a new one is made"
        )


def is_readable_by_others(file: Path) -> bool:
    """Returns whether the group or all can read a file, and enter the folders in which it lies."""
    modes = [folder.stat().st_mode for folder in file.absolute().parents]
    return any(file.stat().st_mode & 4 << who and all(mode & 1 << who for mode in modes) for who in (0, 3))


def session_folder() -> Path:
    """Returns the folder of the sessions of Ray that this checkout starts, within one for this user alone.

    Raises:
        ValueError: when it is somebody else's, or others may write to it.
    """
    place = os.environ.get("RAY_TMPDIR") or (sys.platform != "darwin" and os.environ.get("TMPDIR")) or "/tmp"
    checkout = hashlib.sha256(str(Path.cwd().resolve()).encode()).hexdigest()[:8]
    own = Path(place) / f"reid-{os.getuid()}-{checkout}"  # short: sockets lie below it
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = own.lstat()
    if own.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError(f"{own} is not for this user alone: remove it, or set RAY_TMPDIR to another folder")
    return own / "ray"  # to which Ray gives all rights
