"""`python -m gateway.tests.serve`: doubles and a gateway in a process of their own, until its stdin is closed.

Prints the gateway's address. For clients that block, such as schemathesis.
"""

from __future__ import annotations

import asyncio
import sys

from shop.common.v1 import common_pb2

from gateway.tests.conftest import running
from gateway.tests.reads_double import CANCELLED, COMPLETED


async def main() -> None:
    async with running() as stack:
        late = CANCELLED | {"reason": common_pb2.REASON_CANCELLED_BY_CUSTOMER, "total": COMPLETED["total"]}
        for outcome in (CANCELLED, COMPLETED, late):
            stack.status.list_order(**outcome)
        print(stack.http.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
