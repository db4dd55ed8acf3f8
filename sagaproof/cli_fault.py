# ruff: noqa: PLC0415
"""Faults by hand: kill a service at a crash point of its loop, or stall it there; see what is armed, and clear it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from sagaproof.cli_common import AsJson, complain, console
from sagaproof.errors import CommandError, Unreachable
from services.engine.faults import Point

if TYPE_CHECKING:
    from shop.admin.v1 import service_pb2 as pb

    from sagaproof.running import Places

STALL_MAX_MS = 600_000

Service = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE", help="Such as inventory, inventory-1, or HOST:PORT of its admin.", show_default=False
    ),
]
Services = Annotated[
    list[str] | None, typer.Argument(metavar="SERVICE", help="All if none is named.", show_default=False)
]
At = Annotated[Point, typer.Option("--at", metavar="POINT", help="Where in the loop, see above.", show_default=False)]
Type = Annotated[
    str,
    typer.Option("--type", help="Only in a batch with a message of this type: OrderCreated, say.", show_default=False),
]
Nth = Annotated[int, typer.Option(min=1, help="The how-manieth time that this comes about.")]
Replica = Annotated[
    int | None, typer.Option(min=0, help="Of this replica only, 0 being the first; else of each.", show_default=False)
]

app = typer.Typer(
    name="fault",
    help="""Faults by hand: kill or stall a service at a crash point. A fault strikes once.

    \b
    sagaproof fault kill inventory --at after-commit
    sagaproof fault list
    sagaproof fault clear
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command()
def kill(service: Service, at: At, message_type: Type = "", nth: Nth = 1, replica: Replica = None) -> None:
    """Have a service killed (SIGKILL) when its loop comes to a crash point: once, and its supervisor starts it again.

    The crash points, in the order of the loop: before-transaction, after-commit, amid-publish, before-mark,
    before-offset-commit.

    \b
    sagaproof fault kill inventory --at after-commit
    sagaproof fault kill payment --at amid-publish --type InventoryConfirmed --nth 2
    """
    from shop.admin.v1 import service_pb2 as pb

    _arm(service, replica, message_type, pb.Fault(point=at, action=pb.FAULT_ACTION_KILL, nth=nth))


@app.command()
def stall(
    service: Service,
    at: At,
    stall_ms: Annotated[int, typer.Option("--ms", min=1, max=STALL_MAX_MS, help="For how long.", show_default=False)],
    message_type: Type = "",
    nth: Nth = 1,
    replica: Replica = None,
) -> None:
    """Have a service stand still when its loop comes to a crash point (see `fault kill --help`): once, for so long.

    \b
    sagaproof fault stall shipping --at before-transaction --ms 5000
    """
    from shop.admin.v1 import service_pb2 as pb

    fault = pb.Fault(point=at, action=pb.FAULT_ACTION_STALL, stall_ms=stall_ms, nth=nth)
    _arm(service, replica, message_type, fault)


@app.command("list")
def list_faults(services: Services = None, *, as_json: AsJson = False) -> None:
    """List what is armed and has not struck; exit code 1 if a process does not answer.

    \b
    sagaproof fault list
    sagaproof fault list inventory --json
    """
    from sagaproof import rpc, show
    from sagaproof.running import places

    where = places()
    infos: list[tuple[str, pb.GetInfoResponse]] = []
    silent: list[str] = []
    for process, address in _processes(where, services or where.kinds):
        try:
            with rpc.Admin(process, address) as admin:
                infos.append((process, admin.info(rpc.DEADLINE_S)))
        except Unreachable as error:
            silent.append(error.line)
    if as_json:
        rows = [
            {"process": name, "allowed": info.faults_allowed, "faults": [_as_json(fault) for fault in info.faults]}
            for name, info in infos
        ]
        print(json.dumps(rows, indent=2))
    elif any(info.faults for _, info in infos):
        rows = [(name, *_words(fault)) for name, info in infos for fault in info.faults]
        console().print(show.table(("process", "fault", "at", "type", "nth"), rows, right=("nth",)))
    elif infos:
        allowed = any(info.faults_allowed for _, info in infos)
        print("no fault is armed" if allowed else "no fault is armed, and none is allowed here (FAULTS=1 does)")
    for line in silent:
        complain(line)
    raise typer.Exit(1 if silent else 0)


@app.command()
def clear(services: Services = None) -> None:
    """Forget what is armed and has not struck.

    \b
    sagaproof fault clear
    sagaproof fault clear inventory
    """
    from sagaproof import rpc
    from sagaproof.running import places

    where = places()
    cleared, silent = 0, list[str]()
    for process, address in _processes(where, services or where.kinds):
        try:
            with rpc.Admin(process, address) as admin:
                cleared += len(admin.info(rpc.DEADLINE_S).faults)
                admin.clear_faults()
        except Unreachable as error:
            silent.append(error.line)  # a process that is dead has nothing armed in its next life
    print(f"cleared: {cleared}")
    for line in silent:
        complain(line)
    raise typer.Exit(1 if silent else 0)


def _arm(service: str, replica: int | None, message_type: str, fault: "pb.Fault") -> None:
    from sagaproof import payloads, rpc
    from sagaproof.running import places

    processes = _processes(places(), [service])
    if replica is not None:
        if replica >= len(processes):
            raise CommandError(f"{service} has no replica {replica}; it has {len(processes)}, counted from 0")
        processes = [processes[replica]]
    if message_type:
        fault.message_type = payloads.full_name(message_type)
    for process, address in processes:
        with rpc.Admin(process, address) as admin:
            if not admin.info(rpc.DEADLINE_S).faults_allowed:
                raise CommandError(
                    f"{process} does not allow faults",
                    [
                        "set FAULTS=1 in its environment and start it anew; never in production",
                        "`sagaproof run` sets it for all services, unless it is started with FAULTS=0",
                    ],
                )
            admin.inject(fault)
        what, at, only, nth = _words(fault)
        print(f"{process}: {what} {at}{f' with {only}' if fault.message_type else ''}, time {nth}")


def _processes(where: "Places", services: list[str]) -> list[tuple[str, str]]:
    """Each replica of these services, and where its AdminService listens. Raises CommandError."""
    found: list[tuple[str, str]] = []
    for service in services:
        if ":" in service:
            found.append((service, service))
        else:
            found += [(name, where.admin_address(name)) for name in where.replicas(service)]
    return found


def _words(fault: "pb.Fault") -> tuple[str, str, str, str]:
    action = f"stall {fault.stall_ms:,} ms" if fault.stall_ms else "kill"
    return action, fault.point, fault.message_type.rpartition(".")[2] or "any", str(max(1, fault.nth))


def _as_json(fault: "pb.Fault") -> dict[str, object]:
    return {
        "point": fault.point,
        "action": "stall" if fault.stall_ms else "kill",
        "messageType": fault.message_type or None,
        "nth": max(1, fault.nth),
        "stallMs": fault.stall_ms or None,
    }
