"""A kubeconfig for a cluster of EKS, from AWS credentials: what a pipeline has that `aws eks get-token` is not in.

The token is a signed request to STS of who the caller is, as the AWS authenticator of the cluster expects it
(https://github.com/kubernetes-sigs/aws-iam-authenticator). A cluster takes it for 15 minutes.
"""

from __future__ import annotations

import base64
import json
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.signers import RequestSigner

from sagaproof.errors import CommandError

SIGNED_FOR_S = 60
"""The authenticator refuses a signature for longer; the token itself is good for 15 minutes."""
RENEWED_EVERY_S = 300.0
PREFIX = "k8s-aws-v1."


@contextmanager
def kubeconfig_file(cluster: str, region: str, renewed_every_s: float = RENEWED_EVERY_S) -> Generator[Path]:
    """The same in a file, with a new token from time to time: a deployment may take longer than one is good for.

    Raises CommandError with AWS' words where there is no first one.
    """
    ending = threading.Event()
    with tempfile.TemporaryDirectory(prefix="sagaproof-eks-") as folder:
        path = Path(folder) / "kubeconfig"
        path.write_text(kubeconfig(cluster, region))

        def renew() -> None:
            while not ending.wait(renewed_every_s):
                with suppress(CommandError):  # the one that is there is good for a while
                    fresh = path.with_suffix(".fresh")
                    fresh.write_text(kubeconfig(cluster, region))
                    fresh.replace(path)

        thread = threading.Thread(target=renew, name="EKS token", daemon=True)
        thread.start()
        try:
            yield path
        finally:
            ending.set()
            thread.join()


def kubeconfig(cluster: str, region: str) -> str:
    """As JSON, which kubectl reads as it reads YAML. Raises CommandError with AWS' words."""
    # boto3 makes its clients at run time: they have no types.
    session: Any = boto3.Session(region_name=region)
    try:
        found = session.client("eks").describe_cluster(name=cluster)["cluster"]
        token = _token(session, cluster, region)
    except (BotoCoreError, ClientError) as error:
        raise CommandError(
            f"EKS cluster {cluster} in {region}: {error}",
            ["AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) say who asks, or a role of the machine"],
        ) from error
    name = "eks"
    server = {"server": found["endpoint"], "certificate-authority-data": found["certificateAuthority"]["data"]}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        indent=2,
    )


def _token(session: Any, cluster: str, region: str) -> str:
    sts = session.client("sts")
    signer: Any = RequestSigner(
        sts.meta.service_model.service_id, region, "sts", "v4", session.get_credentials(), session.events
    )
    request = {
        "method": "GET",
        "url": f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name=region, expires_in=SIGNED_FOR_S, operation_name="")
    return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
