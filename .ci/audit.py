"""What we depend on: every version pinned and installed as pinned, licences that may be used, no known vulnerability.

Fails, and says so, when the vulnerability service cannot be asked: not knowing is not a pass.
"""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-dev.txt")
AUDITOR = "pip-audit==2.10.1"
SERVICE = "osv"
REFUSED = re.compile(
    r"AGPL|Affero|SSPL|Server Side Public|Commons Clause|non.?commercial|Business Source|Proprietary", re.IGNORECASE
)
"""Licences that forbid a use of ours, or demand our users' source code."""


def main() -> int:
    """All checks, one sentence a finding."""
    pins = {name: version for file in FILES for name, version in pinned(ROOT / file).items()}
    findings = [*unpinned(), *not_as_pinned(pins), *licences(pins)]
    findings += vulnerabilities(ROOT / FILES[-1])
    for finding in findings:
        print(f"audit: {finding}")
    print(f"audit: {len(pins)} packages, {len(findings)} findings")
    return 1 if findings else 0


def requirements(path: Path) -> list[str]:
    """Lines that name a package, without comments and markers."""
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def pinned(path: Path) -> dict[str, str]:
    """Package -> version."""
    found = (re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s=]+)", line) for line in requirements(path))
    return {match[1]: match[2] for match in found if match}


def unpinned() -> list[str]:
    """Requirements without one exact version."""
    wrong = [(file, line) for file in FILES for line in requirements(ROOT / file) if not re.fullmatch(r"\S+==[^\s=*]+", line)]
    return [f"{file}: '{line}' is not pinned to one version: run `make lock`" for file, line in wrong]


def not_as_pinned(pins: dict[str, str]) -> list[str]:
    """Packages that are absent, or installed in another version."""
    there = {name: version(name) for name in pins}
    return [f"{n} is {there[n] or 'not installed'}, pinned is {v}: run `make install`" for n, v in pins.items() if there[n] != v]


def version(name: str) -> str:
    """The installed version; empty when there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def licences(pins: dict[str, str]) -> list[str]:
    """Packages whose licence we cannot use."""
    told = {name: licence(name) for name in pins if version(name)}
    return [f"{name} is under '{text[:80]}': replace it" for name, text in told.items() if REFUSED.search(text)]


def licence(name: str) -> str:
    """What the package says about its licence: the expression, the classifiers, the first line of the text."""
    facts = metadata.metadata(name)
    classifiers = [c for c in facts.get_all("Classifier") or () if c.startswith("License ::")]
    return " ".join([facts.get("License-Expression") or "", *classifiers, (facts.get("License") or "").partition("\n")[0]])


def vulnerabilities(path: Path) -> list[str]:
    """What the vulnerability service knows about the pinned versions; its absence is a finding."""
    command = [Path(sys.executable).parent / "uv", "tool", "run", AUDITOR, "--requirement", path, "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", SERVICE, "--strict", "--progress-spinner", "off"]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    if run.stdout.strip():  # its table of vulnerable packages
        return [line for line in run.stdout.splitlines()[2:] if line.strip()]
    why = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
    return [f"the vulnerability service '{SERVICE}' could not be asked, so nothing is known about vulnerabilities: {why[:200]}"]


if __name__ == "__main__":
    raise SystemExit(main())
