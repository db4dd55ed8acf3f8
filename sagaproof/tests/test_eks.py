"""A kubeconfig for EKS: against moto, which plays AWS in this process."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto import mock_aws

from e2e.waiting import eventually
from sagaproof import eks
from sagaproof.errors import CommandError

REGION = "eu-central-1"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What AWS knows of the cluster `shop`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield created("shop")


def created(name: str) -> dict[str, Any]:
    aws: Any = boto3
    made = aws.client("eks", region_name=REGION).create_cluster(
        name=name, roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": ["subnet-1"]}
    )
    return made["cluster"]


def test_it_names_the_server_and_who_signed_for_it(cluster: dict[str, Any]) -> None:
    made = json.loads(eks.kubeconfig("shop", REGION))
    [server], [user], [context] = made["clusters"], made["users"], made["contexts"]
    assert server["cluster"] == {
        "server": cluster["endpoint"],
        "certificate-authority-data": cluster["certificateAuthority"]["data"],
    }
    assert context["context"] == {"cluster": server["name"], "user": user["name"]}
    assert made["current-context"] == context["name"]


def test_the_token_is_a_signed_question_to_the_regions_sts_bound_to_the_cluster(cluster: dict[str, Any]) -> None:
    assert cluster["name"] == "shop"
    token: str = json.loads(eks.kubeconfig("shop", REGION))["users"][0]["user"]["token"]
    assert token.startswith(eks.PREFIX)
    assert "=" not in token
    body = token.removeprefix(eks.PREFIX)
    url = urlsplit(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode())
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc) == ("https", f"sts.{REGION}.amazonaws.com")
    assert asked["Action"] == "GetCallerIdentity"
    assert asked["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert asked["X-Amz-Expires"] == "60"
    assert f"/{REGION}/sts/aws4_request" in asked["X-Amz-Credential"]
    assert asked["X-Amz-Signature"]


def test_a_token_for_another_cluster_has_another_signature(cluster: dict[str, Any]) -> None:
    assert cluster
    created("other")
    tokens = {json.loads(eks.kubeconfig(name, REGION))["users"][0]["user"]["token"] for name in ("shop", "other")}
    assert len(tokens) == 2


@pytest.mark.usefixtures("cluster")
def test_a_deployment_that_takes_longer_than_a_token_gets_another_one() -> None:
    def token(path: Path) -> str:
        return json.loads(path.read_text())["users"][0]["user"]["token"]

    with eks.kubeconfig_file("shop", REGION, renewed_every_s=0.1) as path:
        first = token(path)
        eventually("it is signed anew, a second later at the earliest", lambda: token(path) != first, 20)
    assert not path.exists()


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_is_not_there_is_one_line() -> None:
    with pytest.raises(CommandError, match="EKS cluster nothing in eu-central-1"):
        eks.kubeconfig("nothing", REGION)


def test_credentials_that_are_missing_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(CommandError) as raised:
        eks.kubeconfig("shop", REGION)
    assert "credentials" in raised.value.line
    assert any("AWS_ACCESS_KEY_ID" in line for line in raised.value.details)
