"""Threads for what takes too long between others' tokens; tenants take turns at them."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Readers(Generic[Result]):
    """Each tenant's jobs are done as they came; one that is cancelled before it began, never."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        # By tenant, whose turn is next first.
        self._waiting: OrderedDict[str, dict[Future[Result], Callable[[], Result]]] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, tenant: str, job: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        with self._lock:
            self._waiting.setdefault(tenant, {})[future] = job
        future.add_done_callback(partial(self._forget, tenant))
        self._pool.submit(self._next)
        return future

    def close(self) -> None:
        """Begins no more jobs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        with self._lock:
            if not self._waiting:
                return  # whoever asked has left
            tenant, jobs = self._waiting.popitem(last=False)
            future = next(iter(jobs))
            job = jobs.pop(future)
            if jobs:
                self._waiting[tenant] = jobs
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = job()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _forget(self, tenant: str, future: Future[Result]) -> None:
        """What was cancelled holds no memory until its turn."""
        with self._lock:
            jobs = self._waiting.get(tenant, {})
            if jobs.pop(future, None) and not jobs:
                del self._waiting[tenant]
