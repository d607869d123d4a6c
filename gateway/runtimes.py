"""The runtimes that backends here can have, found without importing any of theirs."""

import importlib.util
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path

from protos.wording import did_you_mean, quote

# Which have commands of their own instead of a file among the runtimes.
COMMANDS = ("llm", "openai")


def known() -> tuple[str, ...]:
    """Their names in order; none where only the gateway is installed."""
    spec = importlib.util.find_spec("backends")
    if spec is None or spec.submodule_search_locations is None:
        return ()
    folders = [str(Path(each) / "runtimes") for each in spec.submodule_search_locations]
    files = [module.name for module in pkgutil.iter_modules(folders)]
    plug_ins = [point.name for point in entry_points(group="penstock.runtimes")]
    return tuple(sorted({*COMMANDS, *files, *plug_ins}))


def unknown(name: str) -> str:
    """What is wrong with a runtime's name; empty for one that is known, or if none are."""
    names = known()
    if not names or name in names:
        return ""
    all_of_them = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"no runtime {quote(name)} among {all_of_them}{did_you_mean(name, names)}"
