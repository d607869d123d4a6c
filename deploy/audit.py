"""Known vulnerabilities of what requirements.lock names: `make audit`.

pip-audit asks the Python Packaging Advisory Database, by way of PyPI or of OSV. What couldn't be
asked for counts as not looked at, never as sound; pip-audit itself ends with status 0 then. The
status is 0 if everything was looked at and nothing found, 1 if something was, 3 if not all could be
looked at.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
SERVICES = ("pypi", "osv")
TIMEOUT = "15"  # seconds for a question
FOUND, NOT_RUN = 1, 3


def main() -> int:
    for service in SERVICES:
        packages = audited(service)
        if any("vulns" in each for each in packages):
            break
    lines, status = verdict(packages)
    print("\n".join(lines))
    return status


def audited(service: str) -> list[dict[str, Any]]:
    """pip-audit's report, a row for each package; none if the service can't be reached."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip"]
    command += ["--no-deps", "--format", "json", "--progress-spinner", "off"]
    command += ["--vulnerability-service", service, "--timeout", TIMEOUT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(f"{service} could not be asked: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return []
    return packages


def verdict(packages: Sequence[dict[str, Any]]) -> tuple[list[str], int]:
    """What to print, and the exit status. A row has `vulns`, or `skip_reason` if nobody knew it."""
    looked_at = [each for each in packages if "vulns" in each]
    lines = [
        f"{each['name']} {each['version']}: {one['id']}, fixed in {', '.join(one['fix_versions'])}"
        for each in looked_at
        for one in each["vulns"]
    ]
    status = FOUND if lines else 0
    lines.append(f"{len(looked_at)} packages were looked at, with {len(lines)} vulnerabilities")
    skipped = len(packages) - len(looked_at)
    if skipped or not packages:
        what = f"{skipped} packages were not" if looked_at else "nothing was"
        lines.append(f"NOT RUN: {what} looked at, since no advisory service answers")
        status = status or NOT_RUN
    return lines, status


if __name__ == "__main__":
    sys.exit(main())
