from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    LOADING: _ClassVar[ModelState]
    READY: _ClassVar[ModelState]
    UNLOADING: _ClassVar[ModelState]
    UNAVAILABLE: _ClassVar[ModelState]

class LeaseState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEASE_STATE_UNSPECIFIED: _ClassVar[LeaseState]
    HELD: _ClassVar[LeaseState]
    SUSPECT: _ClassVar[LeaseState]

class Merge(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUM: _ClassVar[Merge]
    MAX: _ClassVar[Merge]
    MIN: _ClassVar[Merge]
    EACH: _ClassVar[Merge]
MODEL_STATE_UNSPECIFIED: ModelState
LOADING: ModelState
READY: ModelState
UNLOADING: ModelState
UNAVAILABLE: ModelState
LEASE_STATE_UNSPECIFIED: LeaseState
HELD: LeaseState
SUSPECT: LeaseState
SUM: Merge
MAX: Merge
MIN: Merge
EACH: Merge

class Beat(_message.Message):
    __slots__ = ("instance", "epoch", "address", "device", "runtime", "access_key", "models_revision", "models", "load", "draining", "healthy", "unhealthy_reason", "process", "activity", "accelerators")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    MODELS_REVISION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    UNHEALTHY_REASON_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    ACCELERATORS_FIELD_NUMBER: _ClassVar[int]
    instance: str
    epoch: int
    address: str
    device: str
    runtime: str
    access_key: str
    models_revision: int
    models: ModelTable
    load: Load
    draining: bool
    healthy: bool
    unhealthy_reason: str
    process: int
    activity: _containers.RepeatedCompositeFieldContainer[ModelActivity]
    accelerators: _containers.RepeatedCompositeFieldContainer[Accelerator]
    def __init__(self, instance: _Optional[str] = ..., epoch: _Optional[int] = ..., address: _Optional[str] = ..., device: _Optional[str] = ..., runtime: _Optional[str] = ..., access_key: _Optional[str] = ..., models_revision: _Optional[int] = ..., models: _Optional[_Union[ModelTable, _Mapping]] = ..., load: _Optional[_Union[Load, _Mapping]] = ..., draining: _Optional[bool] = ..., healthy: _Optional[bool] = ..., unhealthy_reason: _Optional[str] = ..., process: _Optional[int] = ..., activity: _Optional[_Iterable[_Union[ModelActivity, _Mapping]]] = ..., accelerators: _Optional[_Iterable[_Union[Accelerator, _Mapping]]] = ...) -> None: ...

class ModelActivity(_message.Message):
    __slots__ = ("model", "version", "successes", "failures", "batches", "rows", "padding_rows", "deadline_misses", "dispatches", "batch_rows", "queue", "compute", "predicted_seconds", "actual_seconds", "prediction_error_seconds")
    class DispatchesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SUCCESSES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PADDING_ROWS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MISSES_FIELD_NUMBER: _ClassVar[int]
    DISPATCHES_FIELD_NUMBER: _ClassVar[int]
    BATCH_ROWS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ERROR_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    successes: int
    failures: int
    batches: int
    rows: int
    padding_rows: int
    deadline_misses: int
    dispatches: _containers.ScalarMap[str, int]
    batch_rows: Distribution
    queue: Distribution
    compute: Distribution
    predicted_seconds: float
    actual_seconds: float
    prediction_error_seconds: float
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., successes: _Optional[int] = ..., failures: _Optional[int] = ..., batches: _Optional[int] = ..., rows: _Optional[int] = ..., padding_rows: _Optional[int] = ..., deadline_misses: _Optional[int] = ..., dispatches: _Optional[_Mapping[str, int]] = ..., batch_rows: _Optional[_Union[Distribution, _Mapping]] = ..., queue: _Optional[_Union[Distribution, _Mapping]] = ..., compute: _Optional[_Union[Distribution, _Mapping]] = ..., predicted_seconds: _Optional[float] = ..., actual_seconds: _Optional[float] = ..., prediction_error_seconds: _Optional[float] = ...) -> None: ...

class Distribution(_message.Message):
    __slots__ = ("bounds", "counts", "sum")
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    bounds: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    sum: float
    def __init__(self, bounds: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ..., sum: _Optional[float] = ...) -> None: ...

class Accelerator(_message.Message):
    __slots__ = ("device", "name", "utilization", "memory_used_bytes", "memory_total_bytes", "power_watts", "temperature_celsius")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    POWER_WATTS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_CELSIUS_FIELD_NUMBER: _ClassVar[int]
    device: str
    name: str
    utilization: float
    memory_used_bytes: int
    memory_total_bytes: int
    power_watts: float
    temperature_celsius: float
    def __init__(self, device: _Optional[str] = ..., name: _Optional[str] = ..., utilization: _Optional[float] = ..., memory_used_bytes: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ..., power_watts: _Optional[float] = ..., temperature_celsius: _Optional[float] = ...) -> None: ...

class ModelTable(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "version", "state", "reason", "revision", "platform", "inputs", "outputs", "max_batch_size", "decoupled", "idempotent", "openai")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    DECOUPLED_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
    OPENAI_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    state: ModelState
    reason: str
    revision: str
    platform: str
    inputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    outputs: _containers.RepeatedCompositeFieldContainer[TensorSpec]
    max_batch_size: int
    decoupled: bool
    idempotent: bool
    openai: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., reason: _Optional[str] = ..., revision: _Optional[str] = ..., platform: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[TensorSpec, _Mapping]]] = ..., max_batch_size: _Optional[int] = ..., decoupled: _Optional[bool] = ..., idempotent: _Optional[bool] = ..., openai: _Optional[bool] = ...) -> None: ...

class TensorSpec(_message.Message):
    __slots__ = ("name", "datatype", "shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    datatype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., datatype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("queued_work_us", "in_flight", "service_p50_us", "service_p99_us", "device_progress", "memory_used_bytes", "memory_budget_bytes", "memory_high_water_bytes", "waiting", "running", "cache_use", "adapters", "prefixes", "prefix_byte_seconds", "adapter_seconds", "language")
    QUEUED_WORK_US_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_P50_US_FIELD_NUMBER: _ClassVar[int]
    SERVICE_P99_US_FIELD_NUMBER: _ClassVar[int]
    DEVICE_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_HIGH_WATER_BYTES_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    CACHE_USE_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    PREFIX_BYTE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    queued_work_us: int
    in_flight: int
    service_p50_us: int
    service_p99_us: int
    device_progress: int
    memory_used_bytes: int
    memory_budget_bytes: int
    memory_high_water_bytes: int
    waiting: int
    running: int
    cache_use: float
    adapters: _containers.RepeatedScalarFieldContainer[str]
    prefixes: bytes
    prefix_byte_seconds: float
    adapter_seconds: float
    language: _containers.RepeatedCompositeFieldContainer[LanguageModel]
    def __init__(self, queued_work_us: _Optional[int] = ..., in_flight: _Optional[int] = ..., service_p50_us: _Optional[int] = ..., service_p99_us: _Optional[int] = ..., device_progress: _Optional[int] = ..., memory_used_bytes: _Optional[int] = ..., memory_budget_bytes: _Optional[int] = ..., memory_high_water_bytes: _Optional[int] = ..., waiting: _Optional[int] = ..., running: _Optional[int] = ..., cache_use: _Optional[float] = ..., adapters: _Optional[_Iterable[str]] = ..., prefixes: _Optional[bytes] = ..., prefix_byte_seconds: _Optional[float] = ..., adapter_seconds: _Optional[float] = ..., language: _Optional[_Iterable[_Union[LanguageModel, _Mapping]]] = ...) -> None: ...

class LanguageModel(_message.Message):
    __slots__ = ("model", "waiting", "running", "cache_use", "preemptions", "prompt_tokens", "cached_tokens", "drafted_tokens", "accepted_tokens", "generated_tokens", "adapters")
    class GeneratedTokensEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    CACHE_USE_FIELD_NUMBER: _ClassVar[int]
    PREEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DRAFTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    GENERATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    model: str
    waiting: int
    running: int
    cache_use: float
    preemptions: int
    prompt_tokens: int
    cached_tokens: int
    drafted_tokens: int
    accepted_tokens: int
    generated_tokens: _containers.ScalarMap[str, int]
    adapters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., waiting: _Optional[int] = ..., running: _Optional[int] = ..., cache_use: _Optional[float] = ..., preemptions: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., drafted_tokens: _Optional[int] = ..., accepted_tokens: _Optional[int] = ..., generated_tokens: _Optional[_Mapping[str, int]] = ..., adapters: _Optional[_Iterable[str]] = ...) -> None: ...

class Directive(_message.Message):
    __slots__ = ("lease_ttl_ms", "drain", "refused", "known_epoch")
    LEASE_TTL_MS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    KNOWN_EPOCH_FIELD_NUMBER: _ClassVar[int]
    lease_ttl_ms: int
    drain: bool
    refused: str
    known_epoch: int
    def __init__(self, lease_ttl_ms: _Optional[int] = ..., drain: _Optional[bool] = ..., refused: _Optional[str] = ..., known_epoch: _Optional[int] = ...) -> None: ...

class LeaseAsks(_message.Message):
    __slots__ = ("holder", "asks")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    holder: str
    asks: _containers.RepeatedCompositeFieldContainer[LeaseAsk]
    def __init__(self, holder: _Optional[str] = ..., asks: _Optional[_Iterable[_Union[LeaseAsk, _Mapping]]] = ...) -> None: ...

class LeaseAsk(_message.Message):
    __slots__ = ("name", "kind", "size", "rate", "charge", "need", "want", "held", "reserved", "grain", "used", "at_once")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    NEED_FIELD_NUMBER: _ClassVar[int]
    WANT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    GRAIN_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    AT_ONCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    size: float
    rate: float
    charge: float
    need: float
    want: float
    held: float
    reserved: float
    grain: float
    used: float
    at_once: bool
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., size: _Optional[float] = ..., rate: _Optional[float] = ..., charge: _Optional[float] = ..., need: _Optional[float] = ..., want: _Optional[float] = ..., held: _Optional[float] = ..., reserved: _Optional[float] = ..., grain: _Optional[float] = ..., used: _Optional[float] = ..., at_once: _Optional[bool] = ...) -> None: ...

class LeaseGrants(_message.Message):
    __slots__ = ("holders", "grants")
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    holders: int
    grants: _containers.RepeatedCompositeFieldContainer[LeaseGrant]
    def __init__(self, holders: _Optional[int] = ..., grants: _Optional[_Iterable[_Union[LeaseGrant, _Mapping]]] = ...) -> None: ...

class LeaseGrant(_message.Message):
    __slots__ = ("granted", "left", "cap", "reset")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    granted: float
    left: float
    cap: float
    reset: float
    def __init__(self, granted: _Optional[float] = ..., left: _Optional[float] = ..., cap: _Optional[float] = ..., reset: _Optional[float] = ...) -> None: ...

class News(_message.Message):
    __slots__ = ("snapshot", "routing", "poison")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    POISON_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    routing: Routing
    poison: Poison
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., routing: _Optional[_Union[Routing, _Mapping]] = ..., poison: _Optional[_Union[Poison, _Mapping]] = ...) -> None: ...

class Poison(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[Poisonous]
    def __init__(self, requests: _Optional[_Iterable[_Union[Poisonous, _Mapping]]] = ...) -> None: ...

class Poisonous(_message.Message):
    __slots__ = ("fingerprint", "seconds")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    fingerprint: bytes
    seconds: float
    def __init__(self, fingerprint: _Optional[bytes] = ..., seconds: _Optional[float] = ...) -> None: ...

class Routing(_message.Message):
    __slots__ = ("files", "effects")
    FILES_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[RouteFile]
    effects: _containers.RepeatedCompositeFieldContainer[RolloutEffect]
    def __init__(self, files: _Optional[_Iterable[_Union[RouteFile, _Mapping]]] = ..., effects: _Optional[_Iterable[_Union[RolloutEffect, _Mapping]]] = ...) -> None: ...

class RouteFile(_message.Message):
    __slots__ = ("source", "text")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    source: str
    text: str
    def __init__(self, source: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class RolloutEffect(_message.Message):
    __slots__ = ("route", "rollout", "candidate", "weight", "mirror")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    route: str
    rollout: str
    candidate: str
    weight: float
    mirror: str
    def __init__(self, route: _Optional[str] = ..., rollout: _Optional[str] = ..., candidate: _Optional[str] = ..., weight: _Optional[float] = ..., mirror: _Optional[str] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("beat", "state")
    BEAT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    beat: Beat
    state: LeaseState
    def __init__(self, beat: _Optional[_Union[Beat, _Mapping]] = ..., state: _Optional[_Union[LeaseState, str]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("revision", "leases", "self_preservation", "settled")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    SELF_PRESERVATION_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    self_preservation: bool
    settled: bool
    def __init__(self, revision: _Optional[int] = ..., leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., self_preservation: _Optional[bool] = ..., settled: _Optional[bool] = ...) -> None: ...

class WorkerReport(_message.Message):
    __slots__ = ("worker", "metrics", "routes", "arms", "requests", "poison")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    POISON_FIELD_NUMBER: _ClassVar[int]
    worker: str
    metrics: _containers.RepeatedCompositeFieldContainer[MetricFamily]
    routes: str
    arms: _containers.RepeatedCompositeFieldContainer[ArmReport]
    requests: _containers.RepeatedScalarFieldContainer[bytes]
    poison: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, worker: _Optional[str] = ..., metrics: _Optional[_Iterable[_Union[MetricFamily, _Mapping]]] = ..., routes: _Optional[str] = ..., arms: _Optional[_Iterable[_Union[ArmReport, _Mapping]]] = ..., requests: _Optional[_Iterable[bytes]] = ..., poison: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ArmReport(_message.Message):
    __slots__ = ("route", "rollout", "arm", "requests", "errors", "latency")
    class LatencyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    route: str
    rollout: str
    arm: str
    requests: int
    errors: int
    latency: _containers.ScalarMap[int, int]
    def __init__(self, route: _Optional[str] = ..., rollout: _Optional[str] = ..., arm: _Optional[str] = ..., requests: _Optional[int] = ..., errors: _Optional[int] = ..., latency: _Optional[_Mapping[int, int]] = ...) -> None: ...

class MetricFamily(_message.Message):
    __slots__ = ("name", "help", "type", "merge", "labels", "bounds", "series")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HELP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MERGE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    help: str
    type: str
    merge: Merge
    labels: _containers.RepeatedScalarFieldContainer[str]
    bounds: _containers.RepeatedScalarFieldContainer[float]
    series: _containers.RepeatedCompositeFieldContainer[MetricSeries]
    def __init__(self, name: _Optional[str] = ..., help: _Optional[str] = ..., type: _Optional[str] = ..., merge: _Optional[_Union[Merge, str]] = ..., labels: _Optional[_Iterable[str]] = ..., bounds: _Optional[_Iterable[float]] = ..., series: _Optional[_Iterable[_Union[MetricSeries, _Mapping]]] = ...) -> None: ...

class MetricSeries(_message.Message):
    __slots__ = ("labels", "value", "counts", "exemplars")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    EXEMPLARS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    value: float
    counts: _containers.RepeatedScalarFieldContainer[int]
    exemplars: _containers.RepeatedCompositeFieldContainer[Exemplar]
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., value: _Optional[float] = ..., counts: _Optional[_Iterable[int]] = ..., exemplars: _Optional[_Iterable[_Union[Exemplar, _Mapping]]] = ...) -> None: ...

class Exemplar(_message.Message):
    __slots__ = ("bucket", "trace_id", "value", "at")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    bucket: int
    trace_id: str
    value: float
    at: float
    def __init__(self, bucket: _Optional[int] = ..., trace_id: _Optional[str] = ..., value: _Optional[float] = ..., at: _Optional[float] = ...) -> None: ...
