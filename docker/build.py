"""Builds the images, one per role, with docker or, where there is no docker, with buildah; the files are the same.

An image's tag is a digest of everything that goes into it, so what did not change is not built again, and a tag never means two things.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ROLES = tuple(sorted(path.stem for path in (PROJECT / "docker").glob("*.Dockerfile")))
LOCK = Path(tempfile.gettempdir()) / "sluicegate-images.lock"
BUILDERS = {
    "docker": ["docker", "build", "--quiet"],
    "buildah": ["buildah", "bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host"],
}
"""How each engine builds; buildah so that it needs neither a daemon nor a namespace of its own."""


@dataclass(frozen=True)
class Image:
    """One role's image: what it is made of, and its name."""

    role: str
    project: Path = PROJECT
    registry: str = "localhost"

    @property
    def dockerfile(self) -> Path:
        return self.project / "docker" / f"{self.role}.Dockerfile"

    @property
    def lock(self) -> Path:
        return self.project / "docker" / "requirements" / f"{self.role}.txt"

    @property
    def name(self) -> str:
        return f"{self.registry}/sluicegate-{self.role}:{self.digest}"

    @cached_property
    def digest(self) -> str:
        """12 hex digits over the Dockerfile and every file that it copies."""
        seen = hashlib.sha256()
        for path in (self.dockerfile, *self.inputs()):
            seen.update(path.relative_to(self.project).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return seen.hexdigest()[:12]

    def inputs(self) -> Iterator[Path]:
        """Every file that the Dockerfile copies from the project, in order."""
        for line in self.dockerfile.read_text().splitlines():
            words = line.split()
            if words[:1] == ["COPY"] and not words[1].startswith("--from="):
                for source in words[1:-1]:
                    yield from self._files(self.project / source)

    def taken_into(self, folder: Path) -> "Image":
        """The same image made of copies, so that nobody changes a file between its digest and its build."""
        for path in (self.dockerfile, *self.inputs()):
            copy = folder / path.relative_to(self.project)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        return Image(self.role, folder, self.registry)

    def _files(self, source: Path) -> list[Path]:
        if source.is_file():
            return [source]
        return sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


@dataclass(frozen=True)
class Built:
    """An image that is there now."""

    role: str
    name: str
    fresh: bool
    seconds: float


@dataclass(frozen=True)
class Engine:
    """docker or buildah."""

    program: str

    def has(self, image: str) -> bool:
        return self._run("inspect", "--type", "image", image).returncode == 0

    def size_mb(self, image: str) -> float:
        """Megabytes of all layers, unpacked."""
        if self.program == "docker":
            return float(self._run("image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6
        listed = json.loads(self._run("images", "--json", image).stdout)
        return _megabytes(listed[0]["size"])

    def build(self, image: Image) -> None:
        made_from = {"CODE_VERSION": revision(), "LOCK_DIGEST": lock_digest(image)}
        given = [part for name, value in made_from.items() for part in ("--build-arg", f"{name}={value}")]
        command = [*BUILDERS[self.program], *given, "-t", image.name, "-f", str(image.dockerfile), str(image.project)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{image.role}: {self.program} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-3000:]}")

    def push(self, image: str) -> None:
        subprocess.run([self.program, "push", image], check=True, stdout=sys.stderr)  # what is printed may become a file

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)


def _megabytes(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"B": 1e-6, "KB": 1e-3, "MB": 1.0, "GB": 1e3}[unit.upper()]


def engine() -> Engine:
    """The engine of this machine: docker when its daemon answers, otherwise buildah."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return Engine("docker")
    if shutil.which("buildah"):
        return Engine("buildah")
    raise SystemExit("neither docker (with its daemon running) nor buildah is here: install one of them")


def revision() -> str:
    """The commit, with `-changed` when files differ from it; what the environment says where there is no repository."""
    told = ["git", "-C", str(PROJECT), "describe", "--always", "--abbrev=40", "--dirty=-changed", "--exclude", "*"]
    done = subprocess.run(told, capture_output=True, text=True, check=False)
    return done.stdout.strip() or os.environ.get("CODE_VERSION", "unknown")


def lock_digest(image: Image) -> str:
    """`sha256:` and the digest of the image's locked list."""
    return "sha256:" + hashlib.sha256(image.lock.read_bytes()).hexdigest() if image.lock.exists() else "none"


def build_all(images: Sequence[Image], using: Engine) -> list[Built]:
    """Build what is not there yet, one builder at a time on this machine."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return [_build(image, using) for image in images]


def _build(image: Image, using: Engine) -> Built:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sluicegate-image-") as folder:
        taken = image.taken_into(Path(folder))
        known = using.has(taken.name)
        if not known:
            print(f"building {taken.name}", file=sys.stderr, flush=True)
            using.build(taken)
    return Built(taken.role, taken.name, not known, time.monotonic() - began)


def _table(built: Sequence[Built], using: Engine) -> str:
    rows = [f"{'role':12} {'MB':>6} {'':9} {'s':>5}  image"]
    for image in built:
        what = "built" if image.fresh else "unchanged"
        rows.append(f"{image.role:12} {using.size_mb(image.name):6.0f} {what:9} {image.seconds:5.0f}  {image.name}")
    return "\n".join(rows)


def _json(built: Sequence[Built], _: Engine) -> str:
    return json.dumps({image.role: image.name for image in built})


def _component(built: Sequence[Built], _: Engine) -> str:
    """What makes the manifests name these images."""
    names = [
        {"name": f"sluicegate-{image.role}", "newName": n, "newTag": t}
        for image in built
        for n, _, t in [image.name.rpartition(":")]
    ]
    # JSON is YAML too
    return json.dumps({"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "images": names}, indent=1)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="docker/build.py", description=__doc__)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=f"default: all of {', '.join(ROLES)}")
    parser.add_argument("--registry", default="localhost", help="first part of the names, such as registry.example.org/team")
    parser.add_argument("--push", action="store_true", help="push what was built to the registry")
    parser.add_argument(
        "--format", choices=("table", "json", "kustomize"), default="table", help="what to print: kustomize is a component"
    )
    args = parser.parse_args(argv)
    if unknown := set(args.roles) - set(ROLES):
        parser.error(f"no role is named {', '.join(sorted(unknown))}: write some of {', '.join(ROLES)}")
    using = engine()
    built = build_all([Image(role, registry=args.registry) for role in args.roles or ROLES], using)
    print({"table": _table, "json": _json, "kustomize": _component}[args.format](built, using))
    if args.push:
        for image in built:
            using.push(image.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
