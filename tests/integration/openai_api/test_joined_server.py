"""A joined model server: left, drained, asked by other protocols, looked at."""

import threading

from tests.integration.openai_site import HELLO, Site


def test_a_client_that_leaves_closes_the_model_servers_stream(site: Site) -> None:
    stream = site.client().chat.completions.create(model="slow", messages=HELLO, stream=True)
    next(iter(stream))
    assert site.server.open == 1
    stream.close()
    site.mesh.wait(lambda: site.server.open == 0, "the model server's stream to be closed")


def test_a_language_model_answers_on_the_open_inference_protocol_too(site: Site) -> None:
    with site.mesh.client("infer:*") as client:
        asked = {"text_input": "once upon a time", "max_tokens": 3}
        answer = client.post("/v2/models/echo/generate", json=asked).raise_for_status().json()
        assert answer["text_output"] == "once upon a "
        tensor = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["once"]}
        answer = client.post("/v2/models/echo/infer", json={"inputs": [tensor]})
        assert answer.raise_for_status().json()["outputs"][0]["data"] == ["once"]
        events = client.post("/v2/models/echo/generate_stream", json=asked).text
        assert [each for each in ("once ", "upon ", "a ") if f'"{each}"' in events] == [
            "once ", "upon ", "a ",
        ]  # fmt: skip


def test_what_a_model_server_is_for_can_be_asked(site: Site) -> None:
    with site.mesh.client("infer:*", "admin") as client:
        config = client.get("/v2/models/echo/config").raise_for_status().json()
        assert config["platform"] == "openai"
        assert client.get("/v2/models/echo/stats").status_code == 200
        assert client.post("/v2/repository/models/echo/load").status_code == 501


def test_the_load_that_the_model_server_tells_is_seen(site: Site) -> None:
    def told() -> bool:
        row = site.mesh.instance("llm")
        load = row["load"] if row else {}
        found = [load.get(name) for name in ("waiting", "running", "cache_use", "adapters")]
        return found == [5, 3, 0.25, ["a", "b"]]

    site.mesh.wait(told, "the server's own figures")


def test_what_is_asked_here_is_counted_like_anything(site: Site) -> None:
    site.client().chat.completions.create(model="echo", messages=HELLO)
    wanted = ('face="openai"', 'model="echo"', 'code="200"')
    site.mesh.wait(
        lambda: any(
            all(each in line for each in wanted) for line in site.mesh.metrics().splitlines()
        ),
        "a count of chats",
    )


def test_a_model_that_the_server_lists_no_more_is_unavailable_until_it_is(site: Site) -> None:
    site.server.models.remove("undone")
    try:
        site.mesh.wait(lambda: site.status("undone") == 503, "the model to be gone")
    finally:
        site.server.models.append("undone")
    site.mesh.wait(lambda: site.status("undone") == 200, "the model to be back")


def test_requests_that_are_under_way_end_when_their_server_drains(site: Site, tmp_path) -> None:
    site.mesh.join_openai("leaving", site.url, "--model", "leaves=slow", "--drain-timeout", "30")
    site.mesh.wait_ready(("leaves", "1"))
    client = site.client()
    stream = client.chat.completions.create(model="leaves", messages=HELLO, stream=True)
    chunks = iter(stream)
    next(chunks)
    process = site.mesh.process("leaving")
    ending = threading.Thread(target=process.stop)
    ending.start()
    try:
        site.mesh.wait(lambda: site.status("leaves") in (404, 503), "no new calls to be taken")
        for _ in range(3):
            assert next(chunks).choices[0].delta.content
    finally:
        stream.close()
        ending.join()
    assert process.status == 0
