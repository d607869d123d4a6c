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


def test_vllm_tells_what_it_has_done_and_how_much_its_cache_holds():
    page = (
        'vllm:num_preemptions_total{model_name="m"} 2.0\n'
        'vllm:num_preemptions_created{model_name="m"} 1.7e9\n'
        'vllm:prompt_tokens_total{model_name="m"} 1000.0\n'
        'vllm:prefix_cache_queries_total{model_name="m"} 1000.0\n'
        'vllm:prefix_cache_hits_total{model_name="m"} 640.0\n'
        'vllm:generation_tokens_total{model_name="m"} 77.0\n'
        'vllm:spec_decode_num_draft_tokens_total{model_name="m"} 50.0\n'
        'vllm:spec_decode_num_accepted_tokens_total{model_name="m"} 30.0\n'
        'vllm:cache_config_info{block_size="16",cache_dtype="auto",num_gpu_blocks="500"} 1.0\n'
    )
    assert read(page) == Signals(
        preemptions=2,
        prompt_tokens=1000,
        cached_tokens=640,
        generated_tokens=77,
        drafted_tokens=50,
        accepted_tokens=30,
        cache_tokens=8000,
    )


def test_a_cache_of_unknown_size_is_none():
    assert read('vllm:cache_config_info{block_size="16",num_gpu_blocks="None"} 1.0\n') == Signals()
