"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
LONG_FOR_A_REASON: frozenset[str] = frozenset()
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "stuff", "base_utils"}
EDGE = ("services/chassis/", "services/sandbox/", "services/ops/")
CORE = (
    "contracts/",
    "services/commerce/policy/",
    "services/commerce/law/",
    "services/commerce/risk/",
    "services/commerce/quote/",
    "services/commerce/judgement/",
)
CORE_FILES = {"model.py", "transitions.py", "decide.py", "status.py"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("date", "today")}
FILES = sorted(
    path
    for top in ("contracts", "services", "tests")
    for path in (ROOT / top).rglob("*.py")
    if "__pycache__" not in path.parts
)
SOURCES = [path for path in FILES if path.relative_to(ROOT).parts[0] != "tests"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=name_of(path))


def is_core(path: Path) -> bool:
    name = name_of(path)
    if name == "services/commerce/policy/source.py":
        return False
    in_service = name.startswith("services/") and not name.startswith(EDGE)
    return name.startswith(CORE) or (in_service and path.name in CORE_FILES)


def calls(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, owner, attribute) of every `owner.attribute(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Attribute):
                yield node.lineno, owner.attr, node.func.attr
            elif isinstance(owner, ast.Name):
                yield node.lineno, owner.id, node.func.attr


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_and_files_stay_short(path: Path) -> None:
    long_functions = [
        f"{node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long_functions
    lines = len(path.read_text().splitlines())
    if name_of(path) not in LONG_FOR_A_REASON:
        assert lines <= FILE_LINES_MAX, f"{lines} lines"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_names_say_what_is_inside(path: Path) -> None:
    assert path.stem not in VAGUE
    assert path.parent.name not in VAGUE


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_clock_ids_and_chance_come_from_outside(path: Path) -> None:
    if name_of(path).startswith(EDGE):
        return
    tree = tree_of(path)
    found = [f"line {line}: {owner}.{what}" for line, owner, what in calls(tree)
             if (owner, what) in CLOCKS]  # fmt: skip
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not found
    assert not imported & {"random", "secrets", "uuid4", "uuid1"}


@pytest.mark.parametrize("path", [path for path in SOURCES if is_core(path)], ids=name_of)
def test_the_core_waits_for_nothing(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"line {node.lineno}: async"


def test_the_import_contract_of_the_core_covers_the_core() -> None:
    """What the core may not import, also through others, is checked by import-linter."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [pure] = [each for each in contracts["contracts"] if each["name"].startswith("The core")]
    covered = tuple(pure["source_modules"])
    for path in SOURCES:
        if is_core(path) and not name_of(path).startswith("contracts/"):
            module = name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            within = any(f"{module}.".startswith(f"{each}.") for each in covered)
            assert within or module == "services.commerce.policy", module


MONEY_FILES = [
    path
    for path in SOURCES
    if name_of(path).startswith(
        ("contracts/money", "services/commerce/quote/", "services/payment/")
    )
]


@pytest.mark.parametrize("path", MONEY_FILES, ids=name_of)
def test_money_is_never_a_float(path: Path) -> None:
    if path.name in {"breaker.py", "backoff.py"} or "processors" in path.parts:
        return
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            pytest.fail(f"line {node.lineno}: the float {node.value}")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left_is_path = isinstance(node.right, ast.Constant) and isinstance(
                node.right.value, str
            )
            assert left_is_path, f"line {node.lineno}: a division that makes a float"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "float", f"line {node.lineno}: float()"


STATEMENT = re.compile(r"^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "store.py"], ids=name_of)
def test_every_statement_is_a_named_commented_constant(path: Path) -> None:
    lines = path.read_text().splitlines()
    tree = tree_of(path)
    constants = {
        id(node.value): node
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if not STATEMENT.match(node.value):
            continue
        assert id(node) in constants, f"line {node.lineno}: SQL outside a constant"
        before = lines[constants[id(node)].lineno - 2].strip()
        assert before.startswith("#"), f"line {node.lineno}: SQL without a comment that says why"


def test_the_project_speaks_of_itself_alone() -> None:
    """No absolute path of a machine, no host of a package registry."""
    foreign = re.compile(
        r"/home/\w|/root/|/work/|files\.pythonhosted|pypi\.org|repo1?\.maven|registry\.npmjs"
        r"|proxy\.golang|deb\.debian|crates\.io"
    )
    here = Path(__file__)
    texts = [
        path
        for pattern in ("*.py", "*.md", "*.toml", "*.yml", "*.yaml", "Makefile", "*.lock")
        for path in ROOT.rglob(pattern)
        if ".venv" not in path.parts and path != here
    ]
    assert texts
    for path in texts:
        found = foreign.search(path.read_text())
        assert found is None, f"{name_of(path)}: {found}"
