"""The broker's users, topics and rights. What the table no longer names is taken away again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, but not by name
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from services.chassis import environment
from services.chassis.settings import Settings
from services.ops.console import Refused, say
from services.ops.embedded import admin
from services.ops.embedded.topics import all_topics
from services.ops.provision import access
from services.ops.provision.access import Right

BROKER_SECONDS_MAX = 60
CALL_SECONDS_MAX = 30
SCRAM_ITERATIONS = 8192
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
EVERYWHERE = "*"
ANY: Any = None


def provide() -> None:
    """Users, topics, rights, in this order. Raises Refused when the broker does not let us."""
    settings = Settings()
    servers = settings.bootstrap_servers()
    client = admin.client(servers, settings)
    if not admin.answers(client, seconds=BROKER_SECONDS_MAX):
        raise Refused(
            f"the broker {servers} does not answer, or refuses {settings.kafka_sasl_username}:"
            " look at it, or correct KAFKA_BOOTSTRAP_SERVERS and KAFKA_SASL_PASSWORD"
        )
    passwords = _passwords()
    try:
        topics = all_topics(settings.topic_prefix)
        admin.create_topics(client, topics)
        if passwords:
            _create_users(client, passwords)
        taken = _set_rights(client, access.rights(settings.topic_prefix))
    except KafkaException as error:
        raise Refused(f"the broker {servers} refuses: {error.args[0].str()}") from None
    say(
        f"{len(passwords)} users and {len(topics)} topics are in place;"
        f" {taken} rights that the table does not name were taken away"
    )


def _passwords() -> dict[str, str]:
    """Principal -> password, of those that are named: elsewhere somebody else makes the users."""
    found = {name: environment.read(f"{name.upper()}_KAFKA_PASSWORD") for name in access.PRINCIPALS}
    return {name: password for name, password in found.items() if password}


def _create_users(client: AdminClient, passwords: Mapping[str, str]) -> None:
    mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(name, mechanism, password.encode())
        for name, password in passwords.items()
    ]
    _done(client.alter_user_scram_credentials(changes).values())


def _set_rights(client: AdminClient, rights: Iterable[Right]) -> int:
    """Make the rights of our principals exactly these. How many others were taken away."""
    wanted = {_binding(right) for right in rights}
    ours = {f"User:{name}" for name in access.PRINCIPALS}
    found: list[AclBinding] = client.describe_acls(_anything()).result(CALL_SECONDS_MAX)
    stale = [each for each in found if each.principal in ours and each not in wanted]
    missing = wanted - set(found)
    if missing:
        _done(client.create_acls(list(missing)).values())
    if stale:
        _done(client.delete_acls([_exactly(each) for each in stale]).values())
    return len(stale)


def _binding(right: Right) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        RESOURCES[right.resource],
        right.name,
        pattern,
        f"User:{right.principal}",
        EVERYWHERE,
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )


def _anything() -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        ANY,
        ResourcePatternType.ANY,
        ANY,
        ANY,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _exactly(found: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        found.restype,
        found.name,
        found.resource_pattern_type,
        found.principal,
        found.host,
        found.operation,
        found.permission_type,
    )


def _done(answers: Iterable[Future[Any]]) -> None:
    """Raises KafkaException when one of them was refused."""
    for answer in answers:
        answer.result(timeout=CALL_SECONDS_MAX)
