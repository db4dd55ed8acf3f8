"""`python -m gateway.tests.serve`: doubles and a gateway in a process of their own, until its stdin is closed.

Prints the gateway's address. For clients that block, such as schemathesis.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from shop.common.v1 import common_pb2

from gateway.tests.conftest import running
from gateway.tests.reads_double import CANCELLED, COMPLETED


async def main() -> None:
    async with running() as stack:
        stack.status.list_order(**CANCELLED)
        stack.status.list_order(**COMPLETED)
        by_customer: dict[str, Any] = {**CANCELLED, "reason": common_pb2.REASON_CANCELLED_BY_CUSTOMER}
        stack.status.list_order(total=COMPLETED["total"], **by_customer)
        print(stack.http.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
