"""What lies in a model repository: a folder scanned into candidates and refusals, nothing loaded.

Served are `<repo>/foo.onnx` (bare), `<repo>/<model>/<artifact>` and Triton's
`<repo>/<model>/<N>/<artifact>`. What is bare is version 1. The artifact is `model.<ending>`, or the
only file with an ending that a runtime reads.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backends.models import config as model_config
from backends.models import pbtxt
from backends.models.artifacts import (
    PICKLES,
    Artifacts,
    Refused,
    Stamp,
    first_pickle,
    nothing_in,
    pickled,
    shown,
)
from backends.models.config import Latest, ModelConfig, name_fault
from protos.strict_yaml import ConfigError, load

log = logging.getLogger(__name__)

MAX_VERSION_DIGITS = 18  # int64 is what clients have for it
MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that this runtime could load; `stamp` tells whether its files changed."""

    name: str
    version: str
    artifact: Path
    folder: Path  # the model's: what its configuration names lies here
    config: ModelConfig
    stamp: Stamp
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that looks like a model and can't be served; `version` may be unknown ("")."""

    name: str
    version: str
    reason: str
    stamp: Stamp = ()


Found = Candidate | Refusal


class Repository:
    """A folder of models as one runtime sees it; `endings` are those of all runtimes."""

    def __init__(self, root: Path, runtime: str, endings: Mapping[str, tuple[str, ...]]) -> None:
        self.root = root
        self.runtime = runtime
        self._artifacts = Artifacts(root, runtime, endings)

    def scan(self) -> list[Found]:
        """Everything in the folder, one entry for each name and version, in order.

        Never raises for what lies in it; OSError if the folder itself can't be read.
        """
        found: dict[tuple[str, str], Found] = {}
        for entry in sorted(self.root.iterdir()):
            for one in self._found(entry):
                key = (one.name, one.version)
                if key not in found:
                    found[key] = one
                elif isinstance(one, Candidate):
                    where = shown(entry.name)
                    found[key] = Refusal(*key, f"there are two of it, one in {where}", one.stamp)
        return list(found.values())

    def _found(self, entry: Path) -> list[Found]:
        try:
            return list(self._entry(entry))
        except Exception as error:  # one odd entry must not take the others away
            log.exception("%s can't be looked at", shown(entry.name))
            return [Refusal(shown(entry.name), "", f"can't be looked at: {type(error).__name__}")]

    def _entry(self, entry: Path) -> Iterator[Found]:
        name = entry.name
        bare = not entry.is_dir()
        if bare:
            artifact = self._artifacts.readers(name.lstrip("."))
            if not (artifact or name.endswith(PICKLES) or entry.is_symlink()):
                return
            name = entry.stem
        fault = name_fault(name)
        if fault is not None:
            yield Refusal(shown(name), "", fault)
            return
        try:
            self._artifacts.check_inside(entry)
            if bare:
                yield from self._bare(entry)
            else:
                yield from self._folder(entry)
        except (OSError, Refused) as error:
            yield Refusal(name, "", _sentence(error))

    def _bare(self, entry: Path) -> Iterator[Found]:
        runtimes = self._artifacts.readers(entry.name)
        if not runtimes:
            raise Refused(pickled(entry))
        if self.runtime in runtimes:
            # ONNX keeps large weights beside the program, in files that begin with its name.
            files = [path for path in self.root.iterdir() if path.name.startswith(entry.name)]
            yield Candidate(
                entry.stem,
                "1",
                entry,
                self.root,
                ModelConfig(),
                self._artifacts.stamp(sorted(files)),
            )

    def _folder(self, folder: Path) -> Iterator[Found]:
        config_stamp: Stamp = ()
        name = folder.name
        config = ModelConfig()
        warnings: tuple[str, ...] = ()
        fault = None
        try:
            config_file = self._config_file(folder)
            if config_file is not None:
                config_stamp = self._artifacts.stamp([config_file])
                config, warnings = _read_config(config_file, config_stamp[0][1:])
                name = config.name or name
        except (OSError, Refused, ConfigError) as error:
            fault = _sentence(error)
        versions = list(self._versions(folder))
        if not versions:
            yield Refusal(name, "", fault or nothing_in(folder))
        for version, place, reason in _chosen(versions, config):
            if reason is not None:
                yield Refusal(name, version, reason)
                continue
            try:
                artifact = self._artifacts.find(place, config.runtime)
                if artifact is None:
                    continue  # another runtime's
                stamp = config_stamp + self._artifacts.stamp(self._artifacts.files(place, folder))
            except (OSError, Refused) as error:
                yield Refusal(name, version, _sentence(error))
                continue
            if fault is not None:
                yield Refusal(name, version, fault, stamp)
            else:
                yield Candidate(name, version, artifact, folder, config, stamp, warnings)

    def _config_file(self, folder: Path) -> Path | None:
        files = [folder / model_config.FILE, folder / pbtxt.FILE]
        present = [path for path in files if path.exists() or path.is_symlink()]
        if len(present) > 1:
            raise Refused(f"both {model_config.FILE} and {pbtxt.FILE} are there; keep one")
        for path in present:
            self._artifacts.check_inside(path)
            if path.stat().st_size > MAX_CONFIG_BYTES:
                raise Refused(f"{path.name} has more than {MAX_CONFIG_BYTES} bytes")
            return path
        return None

    def _versions(self, folder: Path) -> Iterator[tuple[str, Path, str | None]]:
        """Version, its folder, and why it can't be served."""
        numbered = False
        for place in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
            number = place.name
            if not (number.isascii() and number.isdigit() and place.is_dir()):
                continue
            numbered = True
            if len(number) > MAX_VERSION_DIGITS:
                cut = number[:MAX_VERSION_DIGITS] + "…"
                yield cut, place, f"versions have at most {MAX_VERSION_DIGITS} digits"
            elif number.startswith("0"):
                yield number, place, "versions are numbers from 1 without leading zeros"
            else:
                yield number, place, None
        if any(self._artifacts.readers(path.name) for path in folder.iterdir()):
            if numbered:
                yield "", folder, "an artifact lies beside the numbered versions; move it into one"
            else:
                yield "1", folder, None
        elif not numbered and (pickle := first_pickle(folder)) is not None:
            yield "1", folder, pickled(pickle)


def _chosen(
    versions: list[tuple[str, Path, str | None]], config: ModelConfig
) -> Iterator[tuple[str, Path, str | None]]:
    """The versions that the configuration asks for, and those it asks for in vain."""
    good = sorted((int(number) for number, _, reason in versions if reason is None), reverse=True)
    wanted = config.versions
    if wanted == "all":
        chosen = set(good)
    elif isinstance(wanted, Latest):
        chosen = set(good[: wanted.latest])
    else:
        chosen = set(wanted)
        for missing in sorted(chosen - set(good)):
            yield str(missing), Path(), "versions asks for it, and there is no such folder"
    for number, place, reason in versions:
        if reason is not None or int(number) in chosen:
            yield number, place, reason


@lru_cache(512)
def _read_config(path: Path, stamp: tuple[int, int]) -> tuple[ModelConfig, tuple[str, ...]]:
    """The configuration in a file of this size and time, read once."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path.name} is not UTF-8: {error.reason} at byte {error.start}") from None
    if path.name == pbtxt.FILE:
        return pbtxt.parse(text, path.name)
    return load(text, path.name, ModelConfig), ()


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror or type(error).__name__}"
    return str(error)
