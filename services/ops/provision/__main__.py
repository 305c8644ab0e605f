"""`python -m services.ops.provision STEP`; every step may run again and changes only what differs.

secrets FOLDER  passwords and keys, as files in one folder per service (RENEW=name makes one anew)
broker          users, topics and rights of `contracts.topics`, on KAFKA_BOOTSTRAP_SERVERS
stores          a database and two roles per service, on POSTGRES_URL
stripe FOLDER   Stripe's keys from the environment into payment's folder; a live key needs
                STRIPE_LIVE=allowed
"""

from __future__ import annotations

import sys
from pathlib import Path

from services.ops.console import WRONG_USE, in_one_sentence


@in_one_sentence
def main(arguments: list[str]) -> None:
    """Run one step. Ends with 1 and one sentence when it cannot be done."""
    match arguments:
        case ["secrets", folder]:
            from services.ops.provision import secrets

            secrets.provide(Path(folder))
        case ["broker"]:
            from services.ops.provision import broker

            broker.provide()
        case ["stores"]:
            from services.ops.provision import stores

            stores.provide()
        case ["stripe", folder]:
            from services.ops.provision import stripe

            stripe.provide(Path(folder))
        case _:
            sys.stderr.write(f"{__doc__}")
            sys.exit(WRONG_USE)


if __name__ == "__main__":
    main(sys.argv[1:])
