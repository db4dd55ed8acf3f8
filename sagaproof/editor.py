"""The user's editor: opened on a text, until it is closed."""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sagaproof.errors import CommandError

USUAL = ("sensible-editor", "nano", "vi")


def edit(text: str, environ: Mapping[str, str]) -> tuple[str, Path]:
    """What the user made of it, and the file that keeps it, which is the caller's. Raises CommandError."""
    command = environ.get("VISUAL") or environ.get("EDITOR") or next(filter(shutil.which, USUAL), None)
    if command is None:
        raise CommandError("there is no editor: name one by EDITOR")
    with tempfile.NamedTemporaryFile(
        "w", prefix="dead-letter-", suffix=".json", delete=False, encoding="utf-8"
    ) as file:
        file.write(text + "\n")
    kept = Path(file.name)
    try:
        ended = subprocess.run([*shlex.split(command), str(kept)], check=False).returncode
        if ended == 0:
            return kept.read_text("utf-8"), kept
        trouble = f"it ended with {ended}"
    except (OSError, ValueError) as error:
        trouble = str(error)
    kept.unlink(missing_ok=True)
    raise CommandError(f"the editor {command!r} failed: {trouble}; nothing was replayed")
