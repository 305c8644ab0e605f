"""`python -m services.chassis.probe`: asks this container's service whether it is ready.

Ends with 0 when it is, else with 1 and what `/readyz` says is failing. For an image's health
check: light, because it runs every few seconds.
"""

from __future__ import annotations

import os
import re
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ANSWER_SECONDS_MAX = 3.0
PORTS = {
    "gateway": 8080,
    "chat": 8081,
    "payment": 8082,
    "commerce": 8083,
    "fulfillment": 8084,
    "sandbox": 8090,
}
"""As in `settings`, which takes too long to import here; a test compares them."""
FIRST_PROCESS = Path("/proc/1/cmdline")


def service_of(command: str) -> str | None:
    """The service that a command line runs; None when it runs none."""
    found = re.search(r"\bservices\.(\w+)", command)
    return found[1] if found is not None and found[1] in PORTS else None


def failing(port: int) -> str | None:
    """What the service on this port says is wrong with it; None when it is ready."""
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return f"port {port} does not answer: {type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == 200 else said


def main() -> None:
    service = service_of(FIRST_PROCESS.read_bytes().replace(b"\0", b" ").decode())
    if service is None:
        return  # a command that ends by itself is well as long as it runs
    port = int(os.environ.get(f"{service.upper()}_PORT") or PORTS[service])
    sys.exit(failing(port))


if __name__ == "__main__":
    main()
