"""Ray starts a worker by this script: one that has torch and Ray imported already is forked (tests/workers/fork.py)."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as line:
    line.connect(os.environ["NATRL_TEST_WORKERS"])
    request = json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}).encode()
    socket.send_fds(line, [len(request).to_bytes(8, "big")], [0, 1, 2])
    line.sendall(request)
    line.recv(1)
