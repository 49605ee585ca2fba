"""A page in headless Chromium: what it prints on its console, what it asks the network for, how it looks."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["CHROMIUM", "Shown", "show"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--window-size=1200,1600",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing outside can be reached
)


@dataclass(frozen=True)
class Shown:
    """What came of a page."""

    console: list[str]
    requests: list[str]  # URLs of http and https that the page asked for
    pixels: np.ndarray  # uint8 (height, width, 3)


def show(page: Path, folder: Path, *, dark: bool = False) -> Shown:
    """Opens the page, with files in an empty folder. The light scheme is 1 in Chromium's settings, the dark one 0."""
    command = [str(CHROMIUM), *FLAGS, f"--blink-settings=preferredColorScheme={int(not dark)}"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={folder / 'net.json'}"]
    command += [f"--screenshot={folder / 'page.png'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    log = json.loads((folder / "net.json").read_text())
    events = [event["params"] for event in log["events"] if "initiator" in event.get("params", {})]
    urls = {event["url"] for event in events if event["initiator"] != "not an origin"}  # the browser's own have none
    with Image.open(folder / "page.png") as image:
        pixels = np.array(image.convert("RGB"))
    return Shown(console, sorted(url for url in urls if url.startswith("http")), pixels)
