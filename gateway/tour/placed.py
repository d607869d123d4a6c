"""What the tour puts into the demo's folders and takes out again: documents, and a model.

Each bears a mark, so that what a tour left that was killed is known at the next one. Nothing that
lacks the mark is ever written over or removed.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from protos.errors import PenstockError, invalid

MARK = "# Written by `penstock tour`, which removes it again."
PREFIX = "tour-"
_DRAFT = ".penstock-tour.draft"  # the folder of routes is read without hidden files
_MARK_FILE = "penstock-tour.txt"


@contextmanager
def document(path: Path, text: str) -> Iterator[None]:
    """A file of the text, for as long as it is entered; raises INVALID where one is there."""
    draft = path.with_name(_DRAFT)
    try:
        draft.write_text(f"{MARK}\n{text}")
        try:
            os.link(draft, path)  # whole at once, and never over another
        finally:
            draft.unlink()
    except FileExistsError:
        raise _taken(path) from None
    except OSError as failure:
        raise _unwritable(path, failure) from failure
    try:
        yield
    finally:
        _remove(path)


@contextmanager
def model(folder: Path, draft: Path, make: Callable[[Path], None]) -> Iterator[None]:
    """A folder of models for as long as it is entered; raises INVALID where one is there.

    `make` fills it as `draft`, which is a path of the tour's own: backends see it when it is whole.
    """
    if os.path.lexists(folder):
        raise _taken(folder)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        (draft / _MARK_FILE).write_text(MARK)
        make(draft)
        try:
            shutil.move(draft, folder)  # also into another file system
        except OSError as failure:
            raise _unwritable(folder, failure) from failure
        yield
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _remove(folder)


def clear(*folders: Path) -> list[str]:
    """Removes what a tour that was killed has left there; its names.

    A route goes before the policy that it names.
    """
    removed: list[str] = []
    for folder in folders:
        (folder / _DRAFT).unlink(missing_ok=True)
        found = sorted(folder.glob(f"{PREFIX}*"), reverse=True)
        removed += [path.name for path in found if _remove(path)]
    return removed


def _remove(path: Path) -> bool:
    """Whether it was the tour's."""
    if not _marked(path):
        return False
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return True


def _marked(path: Path) -> bool:
    mark = path / _MARK_FILE if path.is_dir() else path
    try:
        with mark.open("rb") as file:
            return not path.is_symlink() and file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False


def _taken(path: Path) -> PenstockError:
    return invalid(f"{path} is not the tour's, which needs that name: move it away")


def _unwritable(path: Path, failure: OSError) -> PenstockError:
    return invalid(f"the tour can't write {path}: {failure.strerror}")
