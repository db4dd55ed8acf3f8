"""`sagaproof run` with stand-ins for the shop: `python -m sagaproof.tests.driver PORT [--fresh] [NAME=MANNER ...]`.

Two services that need a base, and a gateway, on PORT, PORT + 1, ...; the home is SAGAPROOF_HOME.
"""

import sys
from pathlib import Path

from sagaproof.run import run
from sagaproof.settings import Settings
from sagaproof.stack import STAGES, Part, Stack, answers_ready
from sagaproof.supervisor import ProcessSpec

STANDIN = Path(__file__).with_name("standin.py")
NAMES = {"base": "kafka", "alpha": "service", "beta": "service", "gateway": "gateway"}


def stand_ins(settings: Settings, first_port: int, manners: dict[str, str]) -> Stack:
    parts = list[Part]()
    for number, (name, stage) in enumerate(NAMES.items()):
        port = first_port + number
        command = [sys.executable, "-I", "-S", str(STANDIN), name, str(port), str(settings.home / "journal")]
        spec = ProcessSpec(
            name=name,
            command=[*command, manners.get(name, "ready")],
            env=settings.environ,
            cwd=settings.home,
            log=settings.logs / f"{name}.log",
            ready=answers_ready(port),
            after=["base"] if stage == "service" else [],
            stage=STAGES[stage],
            stop_s=1.0,
        )
        parts.append(Part(spec, http=port))
    return Stack(parts, gateway=f"http://127.0.0.1:{first_port + 3}", kafka="none")


if __name__ == "__main__":
    first, *options = sys.argv[1:]
    told = dict(option.split("=") for option in options if "=" in option)
    sys.exit(run(Settings.from_env(fresh="--fresh" in options), lambda s: stand_ins(s, int(first), told)))
