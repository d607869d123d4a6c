"""What backends say they spent: the part of a request's time that no gateway can save."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from protos import open_inference_pb2 as pb
from protos.open_inference_pb2_grpc import GRPCInferenceServiceStub


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """Totals since the backends started; `seconds` is queue and compute of all requests."""

    requests: int
    executions: int
    seconds: float

    def since(self, before: "DeviceTime") -> "DeviceTime":
        return DeviceTime(
            self.requests - before.requests,
            self.executions - before.executions,
            self.seconds - before.seconds,
        )

    @property
    def mean(self) -> float:
        """Seconds a request."""
        return self.seconds / self.requests if self.requests else 0.0

    @property
    def rows(self) -> float:
        """Requests an execution."""
        return self.requests / self.executions if self.executions else 0.0


def device_time(ports: Sequence[int], model: str) -> DeviceTime:
    """Asks the backends' own statistics."""
    requests = executions = nanoseconds = 0
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            answer = stub.ModelStatistics(pb.ModelStatisticsRequest(name=model))
        for stats in answer.model_stats:
            parts = stats.inference_stats
            requests += parts.success.count
            executions += stats.execution_count
            nanoseconds += parts.queue.ns + parts.compute_input.ns
            nanoseconds += parts.compute_infer.ns + parts.compute_output.ns
    return DeviceTime(requests, executions, nanoseconds / 1e9)
