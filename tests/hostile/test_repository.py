"""The repository holds no secret, and nothing that only somebody's machine has."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECRETS = {
    "a private key": r"-----BEGIN (RSA |EC |OPENSSH |DSA |PGP )?PRIVATE KEY",
    "a token of a forge": r"\b(ghp|gho|ghs|github_pat|glpat)[-_][A-Za-z0-9_]{20,}",
    "a key of a cloud": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b",
    "a webhook": r"hooks\.slack\.com/services/T[0-9A-Z]+/",
    "a Fernet key": r"(?<![A-Za-z0-9_/+-])[A-Za-z0-9_-]{43}=(?![A-Za-z0-9=])",
    "a password in a URL": r"\w+://[^/\s:@'\"{}<$]+:(?!password|secret|pw\b)[^/\s:@'\"{}<$]{3,}@",
    "a password given in a file": r"(?i)\b(password|passwd|secret|api_key|token)\b\s*[:=]\s*['\"][A-Za-z0-9+/_-]{16,}['\"]",
}
"""What is looked for; words in place of a password in examples are none."""


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def found(text: str) -> list[str]:
    return [what for what, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_tracked_file_holds_a_secret() -> None:
    paths = [path for path in tracked() if path != Path(__file__)]
    assert len(paths) > 200
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8", errors="replace") for path in paths}
    assert {name: found(text) for name, text in texts.items() if found(text)} == {}


def test_the_search_would_find_each_kind() -> None:
    planted = {
        "a private key": "-----BEGIN RSA PRIVATE KEY-----",
        "a token of a forge": "ghp_" + "a1" * 15,
        "a key of a cloud": "AKIA" + "Q" * 16,
        "a webhook": "https://hooks.slack.com/services/T0/B0/x",
        "a Fernet key": " " + "Zm9v" * 10 + "abc=",
        "a password in a URL": "postgresql://me:hunter22@db/x",
        "a password given in a file": 'api_key = "0123456789abcdef0123"',
    }
    assert planted.keys() == SECRETS.keys()
    assert [what for what, text in planted.items() if what not in found(text)] == []


def test_what_an_installation_writes_is_not_tracked() -> None:
    assert [
        path for path in tracked() if "var" in path.relative_to(ROOT).parts[:1] or path.suffix in (".db", ".pkl", ".pem")
    ] == []
