"""The scaling objects against KEDA's own definitions, from KEDA's Go module: no field unknown."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
MODULE = "github.com/kedacore/keda/v2"
DOWNLOAD_SECONDS_MAX = 120
UNREACHABLE = ("dial tcp", "no such host", "i/o timeout", "connection refused")
OBJECTS: list[dict[str, Any]] = [
    document
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["apiVersion"].startswith("keda.sh/")
]
OF_EVERY_OBJECT = {"apiVersion": True, "kind": True, "metadata": True}


@pytest.fixture(scope="module")
def keda() -> Path:
    """KEDA's source, of the version and with the sum that `keda/go.sum` names."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        pytest.skip("go is not installed")
    done = subprocess.run(
        [go, "mod", "download", "-json", MODULE],
        cwd=ROOT / "tests" / "deploy" / "keda",
        capture_output=True,
        text=True,
        check=False,
        timeout=DOWNLOAD_SECONDS_MAX,
    )
    if any(sign in done.stdout + done.stderr for sign in UNREACHABLE):
        pytest.skip(f"the Go module {MODULE} cannot be fetched from here")
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(json.loads(done.stdout)["Dir"])


def strict(schema: Any) -> Any:
    """The same schema without room for a field that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize(
    "made", OBJECTS, ids=lambda made: f"{made['kind']} {made['metadata']['name']}"
)
def test_kedas_definition_takes_every_object(keda: Path, made: dict[str, Any]) -> None:
    file = keda / "config" / "crd" / "bases" / f"keda.sh_{made['kind'].lower()}s.yaml"
    [version] = yaml.safe_load(file.read_text())["spec"]["versions"]
    assert made["apiVersion"] == f"keda.sh/{version['name']}"
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= OF_EVERY_OBJECT
    Draft202012Validator(schema).validate(made)
    misspelt = made | {"spec": made["spec"] | {"scaleTargetReff": {}}}
    assert not Draft202012Validator(schema).is_valid(misspelt)


@pytest.mark.parametrize(
    "trigger",
    [trigger for made in OBJECTS for trigger in made["spec"].get("triggers", ())],
    ids=lambda trigger: trigger["metadata"]["consumerGroup"],
)
def test_kedas_kafka_scaler_knows_what_a_trigger_tells_it(
    keda: Path, trigger: dict[str, Any]
) -> None:
    scalers = json.loads((keda / "schema" / "generated" / "scalers-schema.json").read_text())
    [scaler] = [each for each in scalers["scalers"] if each["type"] == trigger["type"]]
    known = {each["name"]: each for each in scaler["parameters"]}
    for name, value in trigger["metadata"].items():
        assert known[name].get("metadataVariableReadable"), f"{name} is no metadata of a trigger"
        assert value in known[name].get("allowedValue", [value])
    told = {each["parameter"] for each in secrets_of(trigger["authenticationRef"]["name"])}
    needed = {name for name, each in known.items() if not {"optional", "default"} & each.keys()}
    assert needed <= trigger["metadata"].keys()
    assert all(known[name].get("triggerAuthenticationVariableReadable") for name in told)


def secrets_of(name: str) -> list[dict[str, str]]:
    """What the named TriggerAuthentication hands to the scaler."""
    [found] = [
        made["spec"]["secretTargetRef"]
        for made in OBJECTS
        if (made["kind"], made["metadata"]["name"]) == ("TriggerAuthentication", name)
    ]
    references: list[dict[str, str]] = found
    return references
