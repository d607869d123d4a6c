"""Backends that `penstock up` starts, of `penstock.yaml`."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gateway.listening import Bytes, Count
from protos.quantities import HostPort
from protos.settings import Settings
from protos.web_address import WebAddress


class ModelServer(Settings):
    """A server of OpenAI's API, which a backend joins and, with `start`, runs.

    `models` maps names here to the server's; without any, all that it lists are served. The rest
    is as `penstock backend openai` has it.
    """

    url: WebAddress = Field(pattern="^https?://")
    models: dict[str, str] = Field(default_factory=dict)
    unlisted: bool = False
    key_file: Path | None = None
    start: str = ""
    revision: str = ""
    send_priority: bool = False
    salt_cache: bool = False


class Backend(Settings):
    """A backend process that `penstock up` starts; without `address` it takes a free port.

    The runtime `openai` has a `server`, all others have a `repository` of models.
    """

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)
    runtime: str = Field(min_length=1)
    repository: Path | None = None
    server: ModelServer | None = None
    device: str = Field("cpu", min_length=1)
    threads: Count | None = None
    allow_code: bool = False
    memory_budget: Bytes | None = None
    address: HostPort | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        wanted = "server" if self.runtime == "openai" else "repository"
        given = [name for name in ("repository", "server") if getattr(self, name) is not None]
        if given != [wanted]:
            raise ValueError(f"the runtime {self.runtime} takes a {wanted} and nothing instead")
        if self.server is not None and (self.allow_code or self.memory_budget is not None):
            raise ValueError("allowCode and memoryBudget go with a repository")
        return self

    @property
    def computes(self) -> bool:
        """Whether it needs cores, rather than passing work on."""
        return self.device == "cpu" and (self.server is None or bool(self.server.start))
