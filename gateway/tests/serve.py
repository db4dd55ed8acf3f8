"""`python -m gateway.tests.serve`: doubles and a gateway in a process of their own, until its stdin is closed.

Prints the gateway's address. For clients that block, such as schemathesis.
"""

from __future__ import annotations

import asyncio
import sys

from gateway.tests.conftest import running


async def main() -> None:
    async with running() as stack:
        print(stack.http.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
