"""Networks of torchvision and timm as spaces: what can be replaced in each, and whether natrl keeps what it promises.

For each network: its convolutions and linear layers, how many slots are layers and blocks (attention as a whole),
poolings that are slots, wires, seconds to import (CPU time of the one thread, so that waiting for a busy machine does
not count), moves (operations that slots may become) and the share of the MAdds in slots that have some, natrl's MAdds
and how far off torch's FlopCounterMode on real data they are, whether the network built from its own architecture gives
the same outputs to the last bit (in evaluation, and in training with the same random numbers; of a detector the losses
of targets), and how many of some random legal transforms run forward and backward (at a second size too, where the
network does), cost no more, and cost what torch counts, and whether one of them can be written as code that needs torch
alone and gives the same to the last bit (its lines, or why not). One JSON row a network, then a table; the exit status
is 1 where a target is missed.

Each of several networks has a process of its own, which may use --seconds of CPU time: one that fails costs its row
alone. With --rows FILE rows are kept there, and networks that have one are not tried again. --markdown FILE writes
docs/coverage.md.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in the same order, and times that compare

import torch
from _modules_checks import checks
from _modules_networks import DEFAULT, names_of, network_of
from _modules_table import markdown, table
from _options import number, Parser, run
from _rows import row
from rich.console import Console
from torch import nn

import natrl
from natrl.checks.fields import Count, Size

WIDTH = 180  # of the table, in characters


def measure(full: str, size: int, transforms: int, seconds: int) -> dict[str, Any]:
    """One row, from a process of its own: what it found until it was done, failed or used up its time."""
    context = multiprocessing.get_context("fork")  # all is imported here already
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, full, size, transforms, seconds))
    process.start()
    theirs.close()
    found: dict[str, Any] = {"targets": False}
    while True:
        try:
            found |= ours.recv()
        except EOFError:
            break
    process.join()
    if process.exitcode == -signal.SIGXCPU:
        found["said"] = f"used more than {seconds} s of CPU time"
    elif process.exitcode:
        found["said"] = f"ended with status {process.exitcode}"
    return found


def work(out: Connection, full: str, size: int, transforms: int, seconds: int) -> None:
    """Sends the parts of a row."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    for part in parts(full, size, transforms):
        out.send(part)


def parts(full: str, size: int, transforms: int) -> Iterator[dict[str, Any]]:
    """Of a row, as they are known; a failure is one of them."""
    try:
        network = network_of(full, size)
        yield {"kind": network.kind, "family": network.family, "size": network.size}
        yield from checks(network, transforms)
    except Exception as error:
        yield {"said": f"{type(error).__name__}: {error}".splitlines()[0], "targets": False}


def warm_up() -> None:
    """What torch imports when it is first needed should not count as a network's time."""
    small = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    natrl.from_module(small, torch.zeros(1, 3, 8, 8))


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("names", nargs="*", help="such as torchvision:resnet18 or 'timm:res*'; one of each family else")
    parser.add_argument("--size", type=number(Size), default=128, help="height and width of the images in pixels")
    parser.add_argument("--transforms", type=number(Count), default=2, help="random transforms of each network")
    parser.add_argument("--seconds", type=number(Count), default=600, help="of CPU time that a network may take")
    parser.add_argument("--rows", type=Path, help="a file that rows are appended to, and read from")
    parser.add_argument("--markdown", type=Path, help="a file for the page of the documentation")
    arguments = parser.parse_args()
    try:
        names = names_of(arguments.names or DEFAULT)
    except ValueError as error:
        parser.error(str(error))
    warnings.simplefilter("ignore")  # the networks' own, of weights that nobody loads
    rows = {}
    if arguments.rows is not None and arguments.rows.exists():
        rows = {found["network"]: found for found in map(json.loads, arguments.rows.read_text().splitlines())}
    warm_up()
    for full in names:
        if full in rows:
            continue
        if len(names) == 1:  # needs no process of its own
            found = {}
            for part in parts(full, arguments.size, arguments.transforms):
                found |= part
        else:
            found = measure(full, arguments.size, arguments.transforms, arguments.seconds)
        rows[full] = row("modules", network=full, **found)
        print(json.dumps(rows[full]), flush=True)
        if arguments.rows is not None:
            with arguments.rows.open("a") as file:
                file.write(json.dumps(rows[full]) + "\n")
    shown = [rows[full] for full in names]
    console = Console(stderr=True, width=WIDTH)
    console.print(table(shown))
    if arguments.markdown is not None:
        arguments.markdown.write_text(markdown(shown))
    missed = [found["network"] for found in shown if not found["targets"]]
    if missed:
        console.print(f"targets missed: {', '.join(missed)}")
        sys.exit(1)


if __name__ == "__main__":
    run(main)
