"""What spans say of a request, by the names of OpenTelemetry's semantic conventions.

https://opentelemetry.io/docs/specs/semconv/: http, rpc and gen_ai. Paths are templates, failures
are kinds: what clients sent stands in none of them.
"""

from protos.span import Value
from protos.timeline import Attempt, Timeline

SERVICE = "penstock.v1.Backend"
METHOD = "Exchange"
# What kind of generation a path of OpenAI's API is.
_GENERATES = {
    "POST /v1/chat/completions": "chat",
    "POST /v1/completions": "text_completion",
    "POST /v1/embeddings": "embeddings",
}


def of_request(
    timeline: Timeline, *, model: str, face: str, code: int, error: str
) -> dict[str, Value]:
    """The server span's; `code` is that of HTTP, whatever the face."""
    operation = timeline.operation
    found: dict[str, Value] = {"penstock.face": face, "penstock.model": model}
    if face == "grpc":
        service, _, method = operation.partition("/")
        found |= {"rpc.system.name": "grpc", "rpc.service": service, "rpc.method": method}
    else:
        method, _, path = operation.partition(" ")
        found |= {"http.request.method": method, "http.route": path, "url.path": path}
        found["http.response.status_code"] = code
    if timeline.told_id:
        found["penstock.request_id"] = timeline.told_id
    if timeline.route:
        found["penstock.route"] = timeline.route
    if timeline.arm:
        found["penstock.arm"] = timeline.arm
    target = timeline.target
    if target is not None:
        found["penstock.version"] = target.version
    if timeline.rollout:
        found["penstock.rollout"] = timeline.rollout
    if timeline.cache:
        found["penstock.cache"] = timeline.cache
    if timeline.refused:
        found["penstock.refused_by"] = timeline.refused
    if error:
        found["error.type"] = error
    if operation in _GENERATES:
        found |= _of_generation(timeline, _GENERATES[operation], model)
    return found


def _of_generation(timeline: Timeline, operation: str, model: str) -> dict[str, Value]:
    found: dict[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "penstock",
        "gen_ai.request.model": model,
    }
    target, used = timeline.target, timeline.used
    if target is not None:
        found["gen_ai.response.model"] = target.model
    if used.prompt_tokens:
        found["gen_ai.usage.input_tokens"] = used.prompt_tokens
    if used.completion_tokens:
        found["gen_ai.usage.output_tokens"] = used.completion_tokens
    return found


def of_attempt(attempt: Attempt, before: str) -> dict[str, Value]:
    """The client span's; `before` is how the attempt before failed."""
    found: dict[str, Value] = {
        "rpc.system.name": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": METHOD,
        "penstock.instance": attempt.instance,
        "penstock.attempt": attempt.number,
    }
    target = attempt.target
    if target is not None:
        found["penstock.arm"] = target.arm
        found["penstock.model"] = target.model
        found["penstock.version"] = target.version
    if attempt.batch_rows:
        found["penstock.batch.rows"] = attempt.batch_rows
        found["penstock.batch.padded_rows"] = attempt.padded_rows
    if attempt.shadow:
        found["penstock.shadow"] = True
    if attempt.inner:
        found["penstock.inner"] = True
    if attempt.hedged:
        found["penstock.hedge"] = True
    elif before:
        found["penstock.retry.reason"] = before
    if attempt.suspect:
        found["penstock.suspect"] = True
    if attempt.error:
        found["error.type"] = attempt.error
    return found
