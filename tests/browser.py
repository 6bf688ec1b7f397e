"""A page in headless Chromium, by its debugging pipe: what it loads, what it complains about, how wide it is."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-pipe")
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)  # where Chromium reads commands
os.dup2(int(sys.argv[2]), 4)  # where it answers
os.execv(sys.argv[3], sys.argv[3:])
"""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: chromium)")


def above_four(descriptor):
    """Returns the descriptor as one that is none of the first five."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 5)
    os.close(descriptor)
    return moved


class Browser:
    """A running browser; ``events`` are all messages that answered no command."""

    def __init__(self, profile):
        theirs_in, ours_out = map(above_four, os.pipe())
        ours_in, theirs_out = map(above_four, os.pipe())
        sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(theirs_in), str(theirs_out),
             CHROMIUM, *FLAGS, *sandbox, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._to, self._from = os.fdopen(ours_out, "wb", buffering=0), os.fdopen(ours_in, "rb")
        self._number, self._left, self.events = 0, b"", []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def send(self, method, **params):
        """Returns the answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if method.partition(".")[0] not in ("Target", "Browser"):
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        """Returns once an event of this name has come."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._read())

    def evaluate(self, expression):
        """Returns the value of JavaScript."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, address, width, height=900):
        """Loads a page at a width in pixels; ``events`` begin anew."""
        self.events = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Page.navigate", url=address)
        self.wait_for("Page.loadEventFired")

    def requested(self):
        """Returns the addresses that were asked for, but for data that stands in the page itself."""
        asked = [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith("data:")]

    def complaints(self):
        """Returns what the console says: errors, warnings, exceptions."""
        names = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [event["params"] for event in self.events if event["method"] in names]

    def screenshot(self, file, whole=False):
        """Writes what is seen, or the whole page, as PNG."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        """Ends the browser."""
        with contextlib.suppress(OSError):
            self.send("Browser.close")
        self._process.wait(timeout=20)

    def _read(self):
        while b"\0" not in self._left:
            more = self._from.read1(1 << 20)
            assert more, "the browser has gone"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)
