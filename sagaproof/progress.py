"""What `sagaproof run` shows: progress until everything is ready, then where everything is, then what dies and heals.

One line that is redrawn on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from sagaproof.settings import Settings, state_home
from sagaproof.stack import ROOT, Stack
from sagaproof.supervisor import Event


class Progress:
    """Hears the supervisor's events and shows them."""

    def __init__(self, settings: Settings, shop: Stack, console: Console | None = None) -> None:
        self._settings, self._shop = settings, shop
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._names = [part.spec.name for part in shop.parts]
        self._ready = set[str]()
        self._ended_at = dict[str, float]()
        self._started = time.monotonic()
        self._is_open = False
        self._stopping_since: float | None = None
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status(self._line())
            self._status.start()
        else:
            self._console.print(f"starting {', '.join(self._names)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_status()
        if self._stopping_since is not None:
            self._console.print(f"ended after {time.monotonic() - self._stopping_since:.1f} s")

    def hear(self, event: Event) -> None:
        match event.what:
            case "ready":
                self._ready.add(event.name)
                if ended_at := self._ended_at.pop(event.name, None):
                    since = time.monotonic() - ended_at
                    self._console.print(f"{event.name} is ready again, {since:.1f} s after it ended")
                elif self._status is None:
                    self._console.print(f"  {event.name} is ready after {event.after_s:.1f} s")
            case "ended":
                self._ready.discard(event.name)
                self._ended_at.setdefault(event.name, time.monotonic())
                self._console.print(f"[bold]{event.name}[/bold] ended ({event.cause}) and is started again")
            case "stopped" if event.cause == "SIGKILL":
                self._console.print(f"  {event.name} had to be killed")
            case _:
                pass
        if self._status:
            self._status.update(self._line())

    def all_ready(self) -> None:
        self._is_open = True
        self._end_status()
        took_s = time.monotonic() - self._started
        self._console.print(f"[bold]The shop is open[/bold] after {took_s:.1f} s: {self._shop.gateway}\n")
        self._console.print(self._summary())
        self._console.print(*self._what_to_try(), sep="\n")

    def still_waiting(self) -> None:
        for part in self._shop.parts:
            if not self._is_open and part.spec.name not in self._ready:
                self._console.print(f"still waiting for {part.spec.name}; what it says: {escape(str(part.spec.log))}")

    def stopping(self) -> None:
        self._stopping_since = time.monotonic()
        self._end_status()
        self._console.print("stopping (once more: kill at once)")

    def _line(self) -> str:
        marks = (f"[green]{name}[/green]" if name in self._ready else f"[dim]{name}[/dim]" for name in self._names)
        return f"starting {' '.join(marks)}"

    def _end_status(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None

    def _summary(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for heading in ("", "gRPC", "admin (gRPC)", "health, metrics"):
            table.add_column(heading, header_style="dim")
        for part in self._shop.parts:
            if part.spec.name == "gateway":
                table.add_row("gateway", "", "", f"{self._shop.gateway}/docs")
                table.add_row("console", "", "", f"{self._shop.gateway}/")
            elif part.grpc:
                admin, health = f"127.0.0.1:{part.admin}", f"http://127.0.0.1:{part.http}/ready"
                table.add_row(part.spec.name, f"127.0.0.1:{part.grpc}", admin, health)
        table.add_row("kafka", self._shop.kafka)
        if self._settings.postgres:
            [server] = [part for part in self._shop.parts if part.spec.name == "postgres"]
            table.add_row("postgres", f"127.0.0.1:{server.listens[0]}")
        return table

    def _what_to_try(self) -> list[str]:
        inventory = next((part for part in self._shop.parts if part.spec.name == "inventory"), None)
        ours = self._command()
        order = """'{"userId":"ada","items":[{"productId":"product-1","quantity":1}]}'"""
        lines = [
            f"data and logs: {escape(str(self._settings.home))}",
            "",
            "[dim]Copy into a second terminal:[/dim]",
            f"  {ours} order product-1",
            f"  {ours} watch ORDER",
            f"  {ours} demo",
            f"  curl {self._shop.gateway}/order -H 'content-type: application/json' -d {escape(order)}",
            f"  curl {self._shop.gateway}/status/ORDER",
        ]
        if inventory:
            lines.append(f"  grpcurl -plaintext 127.0.0.1:{inventory.grpc} list")
            lines.append(f"  grpcurl -plaintext 127.0.0.1:{inventory.admin} shop.admin.v1.AdminService/GetInfo")
        return [*lines, "", "Ctrl-C ends it; the data stays."]

    def _command(self) -> str:
        """Our own command as it can be typed from here."""
        script = ROOT / ".venv" / "bin" / "sagaproof"
        shown = script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
        home = self._settings.home
        usual = state_home({**self._settings.environ, "SAGAPROOF_HOME": ""})
        return ("" if home == usual else f"SAGAPROOF_HOME={shlex.quote(str(home))} ") + shlex.quote(str(shown))
