"""Who may import whom, read from the source: the arrows of the house, and what must not be loaded to answer a question."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nftlab"

# part → the other parts of nftlab it may import. Those in BELOW stand below everything.
BELOW = {"errors", "harmless", "hypers", "configuration", "speeds", "process", "aside"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "harmless": set(),
    "hypers": set(),
    "configuration": {"errors", "hypers"},
    "speeds": set(),
    "process": set(),
    "aside": set(),
    "resources": BELOW,
    "code": BELOW,
    "spec": BELOW,
    "methods": BELOW,
    "data": BELOW,
    "train": BELOW | {"methods", "data"},
    "track": BELOW,
    "store": BELOW | {"spec", "resources"},
    "search": BELOW | {"spec", "store"},
    "worker": BELOW | {"spec", "store", "search", "train", "methods", "data", "track", "code"},
    "report": BELOW | {"spec", "store", "resources", "code"},
    "cluster": BELOW | {"spec", "store"},
    "pictures": BELOW | {"store", "train", "methods", "data", "report"},
    "papers": BELOW | {"spec", "store", "data", "report", "resources"},
    "doctor": BELOW | {"spec", "store", "data", "track", "resources"},
    "cli": BELOW
    | {"resources", "code", "spec", "store", "search", "worker", "report", "cluster", "pictures", "papers", "data", "doctor", "track"},
    "__main__": {"cli"},
}
# part → modules of others that it must not import at all, not even inside a function
SQL = {"sqlalchemy", "alembic", "psycopg", "sqlite3"}
NEVER: dict[str, set[str]] = {
    "errors": {"torch", "numpy", "wandb", *SQL},
    "harmless": {"torch", "numpy", "wandb", *SQL},
    "hypers": {"torch", "numpy", "wandb", *SQL},
    "configuration": {"torch", "numpy", "wandb", *SQL},
    "speeds": {"torch", "numpy", "wandb", *SQL},
    "process": {"torch", "numpy", "wandb", *SQL},
    "aside": {"torch", "numpy", "wandb", *SQL},
    "resources": {"torch", "wandb", *SQL},
    "spec": {"torch", "wandb", *SQL},
    "methods": {"wandb", *SQL},
    "data": {"wandb", *SQL},
    "train": {"wandb", *SQL},
    "track": {"torch", *SQL},
    "store": {"torch", "wandb"},
    "search": {"torch", "wandb"},
    "report": {"torch", "wandb"},
    "cluster": {"torch", "wandb"},
    "pictures": {"wandb", *SQL},
    "papers": {"torch", "wandb"},
    "cli": {"torch", *SQL},
}
# What a machine with torch and numpy alone lacks: what trains there must not need it to be imported
BEYOND = {"platformdirs", "sklearn", "skimage", "PIL", "safetensors", "scipy", "pandas", "matplotlib", "rich", "typer", "sqlalchemy"}
# part → modules that it may import only inside a function, so that whoever imports the part does not wait for them
LATE: dict[str, set[str]] = {
    "track": {"wandb"},
    "store": {"alembic", "pandas"},
    "cluster": {"submitit"},
    "search": {"optuna", "nftlab.search.study"},
    "papers": {"nftlab.data", "ruamel.yaml"},
    "doctor": {"torch", "wandb", "nftlab.store", "nftlab.data"},
    "cli": {"rich", "pandas", "wandb"},
}
LATE |= {
    part: LATE.get(part, set()) | BEYOND
    for part in ("errors", "harmless", "hypers", "configuration", "speeds", "process", "aside", "methods", "data", "train")
}
# what the commands' modules import before a command runs
CLI_AT_TOP = {"cli", "errors", "harmless", "hypers", "configuration", "aside", "resources"}


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(module in full, line, at module level) of every import that runs; those for type checkers do not."""
    for node, top in _statements(ast.parse(path.read_text()).body, top=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = ["nftlab", *path.relative_to(PACKAGE).parts[:-1]]
                base = ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])
            if base == "nftlab":  # `from nftlab import store` imports nftlab.store
                for alias in node.names:
                    yield f"nftlab.{alias.name}", node.lineno, top
            else:
                yield base, node.lineno, top


def _statements(body: list[ast.stmt], top: bool) -> Iterator[tuple[ast.AST, bool]]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _statements(node.orelse, top)
            continue
        yield node, top
        inside = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        children = [child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))]
        for child in children:
            if isinstance(child, ast.stmt):
                yield from _statements([child], inside)
            else:
                yield from _statements(child.body, inside)


def within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def violations(path: Path) -> list[str]:
    part, found = part_of(path), []
    for module, line, top in imports(path):
        where = f"{path.relative_to(ROOT)}:{line}"
        inner = module.split(".")[1] if module.startswith("nftlab.") else None
        if inner is not None and inner != part and not inner.startswith("__") and part != "__init__" and inner not in MAY_IMPORT[part]:
            found.append(f"{where}: {part} must not import nftlab.{inner}")
        if within(module, NEVER.get(part, set())):
            found.append(f"{where}: {part} must never import {module}")
        if top and within(module, LATE.get(part, set())):
            found.append(f"{where}: {part} may import {module} only inside a function")
        if top and part == "cli" and inner is not None and not inner.startswith("__") and inner not in CLI_AT_TOP:
            found.append(f"{where}: import nftlab.{inner} inside the command")
    return found


def test_every_part_of_the_package_has_its_arrows() -> None:
    assert {part_of(path) for path in sources()} - {"__init__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_follow_the_arrows(path: Path) -> None:
    assert violations(path) == []


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("store/x.py", "def f():\n    import torch.nn", "never import torch.nn"),
        ("store/x.py", "try:\n    import alembic\nexcept ImportError:\n    pass", "only inside a function"),
        ("report/x.py", "from nftlab import worker", "must not import nftlab.worker"),
        ("train/x.py", "from ..store import queue", "must not import nftlab.store"),
        ("methods/x.py", "from nftlab.spec import load", "must not import nftlab.spec"),
        ("cli/x.py", "from nftlab.store import open_db", "inside the command"),
        ("cli/x.py", "class A:\n    from nftlab import spec", "inside the command"),
    ],
)
def test_a_wrong_import_is_seen(file: str, text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nftlab" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "nftlab")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [complaint in found for found in violations(path)] == [True]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("nftlab.configuration", {"torch", "numpy", "sqlalchemy"}),
        ("nftlab.spec", {"torch", "sqlalchemy", "pandas", "wandb"}),
        ("nftlab.store", {"torch", "alembic", "pandas", "wandb"}),
        ("nftlab.search", {"torch", "optuna", "alembic", "pandas", "wandb"}),
        ("nftlab.track", {"torch", "wandb", "sqlalchemy"}),
        ("nftlab.report", {"torch", "wandb", "matplotlib"}),
        ("nftlab.papers", {"torch", "wandb", "matplotlib"}),
        ("nftlab.doctor", {"torch", "wandb", "sqlalchemy"}),
        ("nftlab.cli", {"torch", "wandb", "sqlalchemy", "pandas", "alembic", "rich", "numpy", "ruamel.yaml"}),
    ],
)
def test_importing_a_part_does_not_load(module: str, absent: set[str]) -> None:
    script = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert absent & set(loaded) == set()
