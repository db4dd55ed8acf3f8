"""What `sagaproof cluster` says and makes without a cluster. What it does to one, the suite on Kubernetes shows."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from kubernetes_validate import utils

from k8s.rendering import rendered
from sagaproof import cluster
from sagaproof.cli import main

KUBERNETES = "1.36"


def test_an_overlay_is_known_by_its_name_or_its_folder(tmp_path: Path) -> None:
    assert cluster.overlay("plain") == cluster.OVERLAYS / "plain"
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    assert cluster.overlay(str(tmp_path)) == tmp_path


def test_an_overlay_that_is_not_there_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "up", "nowhere"]) == 1
    said = capsys.readouterr().err.strip()
    assert said == "there is no overlay nowhere: it may be eks, kind, plain, or a folder with a kustomization.yaml"


def test_a_cluster_that_does_not_answer_is_said_in_kubectls_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["cluster", "status"]) == 1
    assert capsys.readouterr().err.startswith("kubectl get: ")


def test_a_password_is_a_valid_secret_that_a_url_takes_as_it_is() -> None:
    made = cluster.secret("order-database", "sagaproof_order")
    utils.validate(made, KUBERNETES, strict=True)
    password = made["stringData"]["password"]
    assert password == quote(password, safe="")
    assert password != cluster.secret("order-database", "sagaproof_order")["stringData"]["password"]


@pytest.mark.parametrize(
    ("name", "made"),
    [("plain", set(cluster.ROLES)), ("kind", set(cluster.ROLES)), ("eks", set[str]())],
)
def test_passwords_are_made_but_where_an_operator_brings_them(name: str, made: set[str]) -> None:
    assert set(cluster.passwords_of(rendered(name))) == made
