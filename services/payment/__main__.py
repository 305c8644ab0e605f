"""`python -m services.payment`"""

from __future__ import annotations

from services.chassis import runtime
from services.payment.api import routes
from services.payment.app import build

if __name__ == "__main__":
    runtime.run("payment", build, routes)
