"""Writes Grafana's dashboards: `python deploy/grafana/dashboards.py`.

What each metric says is in docs/metrics.md. Every gateway tells what it hears of each backend, so
of those series the largest of all gateways is taken (`max by (backend, …)`), and what gateways
count themselves is added up.
"""

import json
from pathlib import Path

from language import LANGUAGE
from model import MODEL
from overview import OVERVIEW

FOLDER = Path(__file__).resolve().parent / "dashboards"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, text in texts().items():
        (FOLDER / name).write_text(text)


def texts() -> dict[str, str]:
    """Each dashboard's file and what is in it."""
    return {
        f"{dashboard.uid.removeprefix('penstock-')}.json": json.dumps(dashboard.json(), indent=1)
        + "\n"
        for dashboard in (OVERVIEW, MODEL, LANGUAGE)
    }


if __name__ == "__main__":
    main()
