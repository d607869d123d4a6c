"""What this server calls itself to its clients."""

from importlib.metadata import version

NAME = "penstock"
VERSION = version("penstock")

# Extensions of the Open Inference Protocol that the REST and gRPC faces offer.
EXTENSIONS = (
    "binary_tensor_data",
    "generate",
    "model_configuration",
    "model_repository",
    "schedule_policy",
    "statistics",
)
