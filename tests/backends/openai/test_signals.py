"""What model servers say of their load is read whoever says it."""

import pytest

from backends.openai.signals import Signals, read
from tests.openai_server import METRICS


def test_vllms_page():
    assert read(METRICS) == Signals(5, 3, 0.25, ("a", "b"))


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("sglang:num_queue_reqs 2\nsglang:num_running_reqs 1.0\nsglang:token_usage 0.5\n",
         Signals(2, 1, 0.5)),
        ("tgi_queue_size 4\ntgi_batch_current_size 8\n", Signals(4, 8)),
        ("llamacpp:requests_deferred 3\nllamacpp:requests_processing 1\n", Signals(3, 1)),
        ("", Signals()),
        ("<html>tgi_queue_size</html>", Signals()),
    ],
)  # fmt: skip
def test_other_servers_pages(page, expected):
    assert read(page) == expected


def test_engines_of_one_server_are_added_up_and_its_fullest_cache_counts():
    page = "".join(
        f'vllm:num_requests_running{{engine="{i}"}} {i}\n'
        f'vllm:kv_cache_usage_perc{{engine="{i}"}} 0.{i}\n'
        for i in (1, 2, 3)
    )
    assert read(page) == Signals(0, 6, 0.3)


def test_the_newest_line_tells_the_adapters():
    page = "".join(
        f'vllm:lora_requests_info{{running_lora_adapters="{name}"}} {at}\n'
        for name, at in (("old", 1.0), ("new,other", 3.0), ("older", 2.0))
    )
    assert read(page).adapters == ("new", "other")


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "x"])
def test_a_value_that_is_no_count_counts_as_nothing(value):
    assert read(f"tgi_queue_size {value}\n") == Signals()
