# ruff: noqa: PLC0415
"""Dead letters as a workflow: find them, look into them, correct them, have them handled again, or discard them."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sagaproof.cli_common import AsJson, complain, print_lines
from sagaproof.errors import CommandError, Unreachable

if TYPE_CHECKING:
    from sagaproof.dead_letters import Letter
    from sagaproof.rpc import Admin

Status = Literal["open", "replayed", "discarded", "all"]
Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="Such as inventory, or HOST:PORT of its admin.", show_default=False)
]
Id = Annotated[str, typer.Argument(metavar="ID", help="Of the dead letter.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
PayloadFile = Annotated[
    Path | None,
    typer.Option(
        "--payload",
        metavar="FILE",
        help="Its bytes instead of the stored ones; - is standard input.",
        show_default=False,
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="The same, as JSON of its type.", show_default=False)
]

app = typer.Typer(
    name="dlq",
    help="""Dead letters: messages that a service could not decode or decide. List, show, correct, replay, discard.

    \b
    sagaproof dlq list
    sagaproof dlq show inventory ID
    sagaproof dlq edit inventory ID
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list")
def list_letters(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="SERVICE", help="All if none is named.", show_default=False)
    ] = None,
    *,
    status: Annotated[Status, typer.Option(help="Which ones.")] = "open",
    as_json: AsJson = False,
) -> None:
    """List the dead letters of all services, or of some; exit code 1 if a service does not answer.

    \b
    sagaproof dlq list
    sagaproof dlq list inventory payment --status all
    sagaproof dlq list --json | jq -r '.[] | "\\(.service) \\(.id)"'
    """
    from sagaproof import dead_letters, show_dlq
    from sagaproof.running import places

    where = places()
    found: list[Letter] = []
    silent: list[str] = []
    for service in services or where.kinds:
        try:
            with dead_letters.desk(service, where) as admin:
                of_service = list(dead_letters.letters(admin, status))
        except Unreachable as error:
            silent.append(error.line)
            continue
        found += of_service
        if len(of_service) == dead_letters.LETTERS_MAX:
            complain(f"{service}: only the first {dead_letters.LETTERS_MAX} by id are shown")
    found.sort(key=lambda letter: letter.since)
    if as_json:
        print(json.dumps([letter.summary() for letter in found], indent=2, ensure_ascii=False))
    elif found:
        print_lines(show_dlq.letters(found))
    elif not silent:
        print("no dead letters" if status == "all" else f"no dead letters that are {status}")
    for line in silent:
        complain(line)
    raise typer.Exit(1 if silent else 0)


@app.command()
def show(service: Service, letter_id: Id, as_json: AsJson = False) -> None:
    """Show all of a dead letter: payload, headers, where it stood, the cause, and what to do next.

    \b
    sagaproof dlq show inventory orders/3/17
    sagaproof dlq show inventory orders/3/17 --json | jq .document > payload.json
    """
    from sagaproof import dead_letters, show_dlq
    from sagaproof.running import places

    with dead_letters.desk(service, places()) as admin:
        letter = dead_letters.letter(admin, letter_id)
    if as_json:
        print(json.dumps(letter.as_json(), indent=2, ensure_ascii=False))
    else:
        print_lines(show_dlq.letter(letter))


@app.command()
def replay(service: Service, letter_id: Id, payload: PayloadFile = None, json_file: JsonFile = None) -> None:
    """Have a dead letter handled again under its own id, as it is or with a corrected payload. Twice does no harm.

    \b
    sagaproof dlq replay inventory orders/3/17
    sagaproof dlq replay inventory orders/3/17 --json payload.json
    """
    from sagaproof import dead_letters
    from sagaproof.running import places

    if payload and json_file:
        raise typer.BadParameter("one of --payload and --json, not both")
    with dead_letters.desk(service, places()) as admin:
        letter = dead_letters.letter(admin, letter_id)
        corrected = _bytes(payload) if payload else None
        if json_file:
            _check_headers(letter)
            corrected = _encoded(letter, _bytes(json_file).decode("utf-8", "replace"), [])
        _replay(admin, letter, corrected)


@app.command()
def edit(service: Service, letter_id: Id, *, yes: Yes = False) -> None:
    """Open the payload as JSON in VISUAL or EDITOR, then have the dead letter handled with what was written.

    Where the payload cannot be decoded, all fields of its type are there, empty; null may stay or go.

    \b
    sagaproof dlq edit inventory orders/3/17
    EDITOR='code --wait' sagaproof dlq edit inventory orders/3/17 --yes
    """
    from sagaproof import dead_letters, editor, payloads, show_dlq
    from sagaproof.running import places

    with dead_letters.desk(service, places()) as admin:
        letter = dead_letters.letter(admin, letter_id)
        if letter.status != "open":
            raise CommandError(f"dead letter {letter_id} of {admin.service} is not open any more: {letter.status}")
        _check_headers(letter)
        text, kept = editor.edit(show_dlq.pretty(letter.draft), os.environ)
        again = f"sagaproof dlq replay {service} {letter_id} --json {kept}"
        corrected = _encoded(letter, text, ["correct what was written, then", again])
        changes = list(show_dlq.difference(letter.document, payloads.to_document(letter.type, corrected)))
        if not changes:
            kept.unlink()
            raise CommandError("nothing was changed, so nothing was replayed")
        print_lines(changes)
        if not yes and not typer.confirm(f"Have {admin.service} handle it like this?"):
            raise CommandError("nothing was replayed", [again])
        try:
            _replay(admin, letter, corrected)
        except CommandError as error:
            raise CommandError(error.line, [*error.details, "to try it again", again]) from None
        kept.unlink()


@app.command()
def discard(service: Service, letter_id: Id, *, yes: Yes = False) -> None:
    """Mark a dead letter as not to be replayed. It stays listed with --status discarded.

    \b
    sagaproof dlq discard inventory orders/3/17
    """
    from sagaproof import dead_letters
    from sagaproof.running import places

    with dead_letters.desk(service, places()) as admin:
        letter = dead_letters.letter(admin, letter_id)
        if letter.status == "discarded":
            print("it was discarded before: nothing was done")
            return
        if letter.status != "open":
            raise CommandError(f"dead letter {letter_id} of {admin.service} is not open any more: {letter.status}")
        print(f"if it is discarded: {letter.if_discarded}")
        if not yes and not typer.confirm(f"Discard {letter_id} of {admin.service}?"):
            raise CommandError("nothing was discarded")
        if admin.discard(letter_id) != dead_letters.STATUSES["discarded"]:
            raise CommandError(f"dead letter {letter_id} of {admin.service} was replayed meanwhile")
    print("discarded")


def _replay(admin: "Admin", letter: "Letter", corrected: bytes | None) -> None:
    from sagaproof.dead_letters import READ_MODELS

    if letter.status == "discarded":
        raise CommandError(f"dead letter {letter.id} of {admin.service} was discarded: it cannot be replayed")
    if letter.status == "replayed":
        if corrected not in (None, letter.raw.payload):
            raise CommandError(f"dead letter {letter.id} of {admin.service} was replayed before: this was not used")
        print("it was replayed before: nothing was done")
        return
    admin.replay(letter.id, corrected)
    print(f"replayed: {admin.service} has handled it{'' if corrected is None else ' with the corrected payload'}")
    if corrected is not None and admin.service in READ_MODELS:
        print(f"no topic has that payload, so a Rebuild of {admin.service} with repair will be refused from now on")
    if letter.order_id:
        print(f"what becomes of its order: sagaproof watch {letter.order_id}")


def _check_headers(letter: "Letter") -> None:
    if letter.fault_of_headers:
        raise CommandError(f"no payload can help: {letter.fault_of_headers}, and a replay keeps the headers")


def _encoded(letter: "Letter", text: str, details: list[str]) -> bytes:
    from sagaproof import payloads

    try:
        return payloads.from_json(letter.type, text)
    except payloads.Misfit as error:
        short = letter.type.rpartition(".")[2]
        raise CommandError(f"this is no {short}: {error}; nothing was replayed", details) from None


def _bytes(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
