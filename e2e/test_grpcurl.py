"""What an operator does with grpcurl, by the real grpcurl."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from e2e.shop import ORCHESTRATED, Shop
from sagaproof.settings import ADMIN_OFFSET, GRPC_PORTS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed"),
]


def grpcurl(*arguments: str) -> str:
    command = ["grpcurl", "-plaintext", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


@pytest.mark.variants(ORCHESTRATED[-1])
@pytest.mark.parametrize("service", GRPC_PORTS)
def test_grpcurl_lists_a_service_asks_its_health_and_its_info(shop: Shop, service: str) -> None:
    address, admin = shop.address(service), shop.address(service, ADMIN_OFFSET)
    assert f"shop.{service}.v1.{service.capitalize()}Service" in grpcurl(address, "list").split()
    health = json.loads(grpcurl("-d", '{"service": "readiness"}', address, "grpc.health.v1.Health/Check"))
    assert health == {"status": "SERVING"}
    assert json.loads(grpcurl(admin, "shop.admin.v1.AdminService/GetInfo"))["service"] == service


def test_grpcurl_restocks_a_product(shop: Shop, product: str) -> None:
    request = json.dumps({"requestId": f"grpcurl-{product}", "productId": product, "quantity": 5})
    answer = grpcurl("-d", request, shop.address("inventory"), "shop.inventory.v1.InventoryService/Restock")
    assert json.loads(answer)["product"]["available"] == 1005
