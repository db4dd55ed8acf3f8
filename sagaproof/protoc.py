"""The code from `proto/`: messages, gRPC stubs and their types, as packages. Standard library only.

Set-up makes `gen/` by it; an image makes its own: `python -m sagaproof.protoc FOLDER`, in an environment that has both
what the code needs and the generators of requirements/build.txt.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

PROTO = Path(__file__).resolve().parent.parent / "proto"


def proto_files(proto: Path = PROTO) -> list[Path]:
    """What is generated: all of ours and the vendored buf/validate (google's come with the packages that own them)."""
    return [path for path in sorted(proto.rglob("*.proto")) if path.relative_to(proto).parts[0] != "google"]


def commands(tools: Path, site: Path, into: Path, proto: Path = PROTO) -> list[list[str | Path]]:
    """The calls of protoc that write to `into`; `tools` has the generators, `site` the packages with google's files."""
    files = proto_files(proto)
    services = [path for path in files if re.search(r"^service ", path.read_text(), re.MULTILINE)]
    protoc = [tools / "python", "-m", "grpc_tools.protoc", f"-I{proto}", f"-I{site}"]
    plugin = f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}"
    grpc = [plugin, f"--grpc_python_out={into}", f"--mypy_grpc_out={into}"]
    return [
        *([[*protoc, f"--python_out={into}", f"--pyi_out={into}", *files]] if files else []),
        *([[*protoc, *grpc, *services]] if services else []),
    ]


def make_packages(into: Path) -> None:
    """Every folder with code in it becomes a typed package."""
    for folder in {parent for path in into.rglob("*.py") for parent in path.relative_to(into).parents}:
        if folder.parts:
            (into / folder / "__init__.py").touch()
            (into / folder / "py.typed").touch()


def main(arguments: Sequence[str]) -> int:
    into = Path(arguments[0])
    into.mkdir(parents=True)
    for command in commands(Path(sys.executable).parent, Path(sysconfig.get_path("purelib")), into):
        subprocess.run(command, check=True)
    make_packages(into)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
