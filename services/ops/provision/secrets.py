"""Passwords and keys, made once, as files: each service's folder holds only its own.

`operator` holds a copy of all of them, for the steps that set them up and for the `returns`
command. A deployment with a secret store of its own writes the same files from there.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from services.chassis.keys import SCOPES, digest
from services.ops.console import Refused, say
from services.ops.provision import access
from services.ops.stack import SERVICES, WITH_A_STORE

OPERATOR, BROKER, POSTGRES = "operator", "broker", "postgres"
FILE_MODE = 0o444
"""Whoever may see a folder may read it: what keeps it secret is who is given the folder."""
RENEW = "RENEW"
STORE_HOST = "POSTGRES_HOST"

Files = Mapping[tuple[str, str], str]
"""(folder, file) -> what stands in it."""


def provide(folder: Path) -> None:
    """Write what is missing, and what follows from it. Raises Refused where it may not write."""
    vault = folder / OPERATOR
    renew = os.environ.get(RENEW, "")
    made = {name: _kept(vault / name, renew=renew == name) for name in names()}
    if renew == f"{POSTGRES}-password":
        raise Refused(
            f"{RENEW}: {renew} is the server's own: change it there with ALTER ROLE first"
        )
    if renew and renew not in made:
        raise Refused(f"{RENEW}: there is no secret {renew}; it is one of {', '.join(made)}")
    for (place, name), value in files(made, os.environ.get(STORE_HOST, "postgres")).items():
        write(folder / place / name, value)
    say(f"{len(made)} secrets are in place")


def names() -> Iterator[str]:
    """Everything that is made by chance."""
    yield f"{BROKER}-password"
    yield f"{POSTGRES}-password"
    yield "api-key"
    yield "webhook-secret"
    for principal in access.PRINCIPALS:
        yield f"{principal}-kafka-password"
    for service in WITH_A_STORE:
        yield f"{service}-database-password"
        yield f"{service}-owner-password"


def files(made: Mapping[str, str], host: str) -> Files:
    """Every file, from the secrets by name; `host` is where PostgreSQL is."""
    keys = json.dumps({digest(made["api-key"]): {"name": OPERATOR, "scopes": sorted(SCOPES)}})
    found: dict[tuple[str, str], str] = {
        (BROKER, "password"): made[f"{BROKER}-password"],
        (POSTGRES, "password"): made[f"{POSTGRES}-password"],
        ("sandbox", "api-key"): made["api-key"],
        ("sandbox", "webhook-secret"): made["webhook-secret"],
        # Payment may have been given real ones: see `stripe`, which runs after this.
        ("payment", "stripe-api-key"): "",
        ("payment", "webhook-secret"): made["webhook-secret"],
    }
    found |= {(OPERATOR, name): value for name, value in made.items()}
    found |= {(service, "api-keys.json"): keys for service in SERVICES}
    superuser = made[f"{POSTGRES}-password"]
    found[OPERATOR, "postgres-url"] = f"postgresql://postgres:{superuser}@{host}:5432/postgres"
    for service in WITH_A_STORE:
        url = _url(service, service, made[f"{service}-database-password"], host)
        owner = _url(service, f"{service}_owner", made[f"{service}-owner-password"], host)
        found[service, "kafka-password"] = made[f"{service}-kafka-password"]
        found[service, "database-url"] = url
        found[OPERATOR, f"{service}-database-url"] = url
        found[OPERATOR, f"{service}-migration-database-url"] = owner
    return found


def _url(service: str, role: str, password: str, host: str) -> str:
    return f"postgresql://{role}:{password}@{host}:5432/{service}"


def _kept(file: Path, *, renew: bool) -> str:
    if file.exists() and not renew:
        return file.read_text()
    return secrets.token_hex(24)


def write(file: Path, value: str) -> None:
    """In one step, and only what changes: whoever reads meanwhile sees the old or the new."""
    if file.exists() and file.read_text() == value:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_text(value)
        fresh.chmod(FILE_MODE)
        fresh.replace(file)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None
