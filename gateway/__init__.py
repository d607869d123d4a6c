"""The gateway: its faces, the pipeline, discovery, and the command line."""

import os

# Nothing here is forked to live on: children are started by fork and exec. gRPC's fork handlers run
# in between all the same, and have broken the child; they must be off before gRPC is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
