"""docker-compose.yml and Dockerfile, as far as they can be held to their word without a Docker daemon."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "hunter2-hunter2"


def compose(*words: str, **environment: str) -> subprocess.CompletedProcess[str] | None:
    """`docker compose` or its predecessor; None where neither is installed."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return subprocess.run([*command, *words], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    return None


@pytest.fixture(scope="module")
def password(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secrets") / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.fixture(scope="module")
def services(password: Path) -> dict[str, Any]:
    """As Docker understands the file where it is installed, as it is written elsewhere (never in CI)."""
    done = compose("config", NFTLAB_DB_PASSWORD_FILE=str(password))
    if done is None:
        assert "NFTLAB_CI" not in os.environ, "CI installs docker-compose"
        return dict(YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"])
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout
    return dict(YAML(typ="safe").load(done.stdout)["services"])


def test_the_table_is_there_and_at_its_schema_before_a_worker_starts(services: dict[str, Any]) -> None:
    assert set(services) == {"db", "migrate", "worker"}
    assert services["db"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert services["migrate"]["command"] == ["db", "upgrade"]
    waits = {name: how["condition"] for name, how in services["worker"]["depends_on"].items()}
    assert waits == {"db": "service_healthy", "migrate": "service_completed_successfully"}
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert any(str(volume).startswith("table:") or volume.get("source") == "table" for volume in services["db"]["volumes"])


def test_every_service_gets_the_password_as_a_file(services: dict[str, Any]) -> None:
    for service in services.values():
        assert [secret if isinstance(secret, str) else secret["source"] for secret in service["secrets"]] == ["db_password"]
        named = [value for name, value in service["environment"].items() if name.endswith("PASSWORD_FILE")]
        assert named == ["/run/secrets/db_password"]
        assert not re.search(r"://\w*:", str(service["environment"]))


def test_the_entrypoint_hands_the_password_to_postgres_library_alone(tmp_path: Path, password: Path) -> None:
    written = re.search(r"<<'ENTRYPOINT'.*?\n(.*?)^ENTRYPOINT$", (ROOT / "Dockerfile").read_text(), re.DOTALL | re.MULTILINE)
    assert written is not None
    (tmp_path / "entrypoint").write_text(written[1])
    (tmp_path / "nftlab").write_text('#!/bin/sh\necho "$PGPASSWORD" >password-seen\necho "$@"\n')
    (tmp_path / "nftlab").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PGPASSWORD_FILE": str(password)}
    words = ["sh", "entrypoint", "worker", "--device", "all"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "worker --device all\n"
    assert (tmp_path / "password-seen").read_text() == f"{PASSWORD}\n"
    assert PASSWORD not in done.stdout + done.stderr


def test_images_are_named_without_a_host() -> None:
    texts = (ROOT / "Dockerfile").read_text() + (ROOT / "docker-compose.yml").read_text()
    images = re.findall(r"^(?:FROM| *image:) +(\S+)", texts, re.MULTILINE)
    assert images == ["python:3.12-slim", "nftlab", "postgres:17"]
    copied = [word for line in re.findall(r"^COPY ([^<-].*) \S+$", texts, re.MULTILINE) for word in line.split()]
    assert copied
    assert all((ROOT / word).exists() for word in copied)
