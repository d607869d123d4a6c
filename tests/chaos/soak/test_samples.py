"""What a soak reads of processes and of metrics."""

import json
import math
import os
import subprocess
import sys

from chaos.soak.samples import Told, holding, series, workers
from tests.chaos.soak.soak_samples import samples

PAGE = """
# TYPE penstock_asyncio_tasks gauge
penstock_asyncio_tasks{worker="0"} 41.0
penstock_asyncio_tasks{worker="supervisor"} 12.0
penstock_event_loop_lag_seconds_bucket{le="0.001",worker="0"} 9.0
penstock_event_loop_lag_seconds_sum{worker="0"} SUM
penstock_event_loop_lag_seconds_count{worker="0"} COUNT
penstock_fair_waiting{model="a"} 2.0
penstock_fair_waiting{model="b"} 3.0
penstock_cache_waiting 7.0
penstock_requests_total{code="200"} 9.0 # {trace_id="1"} 0.1 2.0
# EOF
"""


def page(late: float, ticks: int) -> str:
    return PAGE.replace("SUM", str(late)).replace("COUNT", str(ticks))


def test_a_process_tells_its_memory_threads_and_descriptors():
    before = holding(os.getpid())
    with open(os.devnull) as first, open(os.devnull) as second:
        held = bytearray(b"x" * 32 * 1024 * 1024)
        after = holding(os.getpid())
        assert not first.closed
        assert not second.closed
    assert before
    assert after
    assert after.descriptors == before.descriptors + 2
    assert after.uss >= before.uss + len(held) / 2
    assert after.rss >= after.uss > 0
    assert after.threads >= 1


def test_a_process_that_is_gone_tells_nothing():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert holding(child.pid) is None
    assert workers(child.pid) == {}


def test_serving_processes_are_known_by_their_number():
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, "--index", "1"], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline()
        assert workers(os.getpid()).get("worker 1") == child.pid
        child.kill()


def test_metrics_tell_tasks_lags_since_the_last_time_and_what_waits():
    told = Told()
    tasks, lags, queues = told.read(page(0.5, 100))
    assert tasks == {"worker 0": 41.0, "supervisor": 12.0}
    assert lags == {"worker 0": 0.005}
    assert queues["penstock_fair_waiting"] == 5.0
    assert queues["penstock_cache_waiting"] == 7.0
    assert queues["penstock_spans_queued"] == 0.0
    assert math.isclose(told.read(page(0.7, 110))[1]["worker 0"], 0.02)
    assert told.read(page(0.7, 110))[1] == {}


def test_a_series_leaves_out_what_was_not_told():
    found = samples(tasks=lambda at: math.nan if at % 2 else 5, count=4)
    assert series(found, "worker 0", "tasks") == [(0.0, 5), (2.0, 5)]
    assert series(found, "nobody", "tasks") == []


def test_a_sample_is_a_line_of_json():
    (sample,) = samples(count=1)
    told = json.loads(sample.line())
    assert told["at"] == 0.0
    assert told["processes"]["worker 0"]["descriptors"] == 30
