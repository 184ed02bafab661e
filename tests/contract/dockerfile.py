"""Plays the Dockerfile step by step, as far as that goes without a daemon: ``dockerfile.py PYTHON FOLDER``.

What a stage copies is all that it has, so a file that the build needs and nobody copies is found here. The paths of the
image become paths below the folder; users, labels and volumes are the daemon's.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Give each instruction with what follows it; lines that go on are put together."""
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name and not name.startswith("#"):
            yield name, " ".join(rest.split())


def built(python: str, image: Path) -> dict[str, str]:
    """Play the first stage; gives the environment that the second one sets."""
    stage, where, environ = 0, image, dict[str, str]()
    for name, rest in steps((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        stage += name == "FROM"
        if name == "WORKDIR" and stage == 1:
            where = image / rest.lstrip("/")
            where.mkdir(parents=True)
        elif name == "COPY" and stage == 1:
            *sources, target = shlex.split(rest)
            for source in sources:
                _copy(ROOT / source, where / target)
        elif name == "RUN" and stage == 1:
            command = rest.replace(" /opt/", f" {image}/opt/").replace(" /wheels", f" {image}/wheels")
            path = f"{Path(python).parent}:{os.environ['PATH']}"
            subprocess.run(command, shell=True, check=True, cwd=where, env={**os.environ, "PATH": path})
        elif name == "ENV" and stage > 1:
            pairs = (pair.partition("=") for pair in shlex.split(rest))
            environ.update({key: value for key, _, value in pairs})
    return environ


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        return
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def main(python: str, folder: str) -> None:
    """Build, and start what the image would start: it has to end well when its client goes away."""
    image = Path(folder)
    environ = built(python, image)
    state = image / environ["CT_MCP_STATE_DIR"].lstrip("/")
    state.mkdir(mode=0o700)
    program = image / environ["PATH"].split(":")[0].lstrip("/") / "ct-mcp"
    clean = {"PATH": os.defpath, "HOME": str(image), "CT_MCP_STATE_DIR": str(state)}
    for arguments in (["--version"], ["serve"]):
        subprocess.run([program, *arguments], check=True, env=clean, stdin=subprocess.DEVNULL, timeout=60)
    sys.stdout.write("built and started as the image does\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
