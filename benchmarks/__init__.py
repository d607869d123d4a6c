"""What Penstock costs and gains, measured beside others that do the same work."""

import os

# OpenMP reads these when it is loaded, here and in every child process. A thread that spins while
# it waits for one that has lost its core makes a call of 12 ms take 500.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
