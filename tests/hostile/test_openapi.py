"""Requests generated from each face's own OpenAPI document, valid ones and broken ones."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.gateway.api import examples
from tests.hostile.faces import Face

WANTED = os.environ.get("HOSTILE_EXAMPLES")
EXAMPLES_PER_CALL = int(WANTED or 12)
"""The same dozen every time, or as many new ones as HOSTILE_EXAMPLES says."""
CALL_SECONDS_MAX = 60


def no_internal_error(context: Any, response: Any, case: Any) -> None:
    """503 names a part that is away, and is documented where it may be; 500 is our mistake."""
    assert response.status_code != 500, response.text


CHECKS = [
    no_internal_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
WAITS = {"/sandbox/parcels/{parcel}/play"}
"""The robot calls a gateway and has patience with it: there is none here."""
KNOWN = {"gateway": ("/returns", examples.REQUEST)}
"""A return that is there, so that not every call ends with 404."""


# The faces run in this process, and their back-off draws from the same generator.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.parametrize("face", ["gateway", "payment", "sandbox"], indirect=True)
def test_every_answer_is_one_that_the_document_promises(face: Face) -> None:
    if face.name in KNOWN:
        path, body = KNOWN[face.name]
        with face.client() as client:
            client.post(path, json=body).raise_for_status()
    schema = schemathesis.openapi.from_dict(face.openapi())
    schema.config.update(base_url=face.url)
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path in WAITS:
            continue
        for mode in GenerationMode:
            _answers_as_documented(operation, mode)


def _answers_as_documented(operation: Any, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return  # nothing can be broken

    @settings(
        max_examples=EXAMPLES_PER_CALL,
        deadline=None,
        derandomize=WANTED is None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=CALL_SECONDS_MAX)

    answers()
