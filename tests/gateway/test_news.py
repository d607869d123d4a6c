"""What somebody at the terminal is told about the mesh, and what not."""

from gateway.client import Instance, ServedModel
from gateway.news import Arrival, News


def model(version: str, state: str = "READY", reason: str = "", revision: str = "a") -> ServedModel:
    return ServedModel("onnx", "digits", version, state, reason, revision)


def instance(*models: ServedModel, name: str = "onnx") -> Instance:
    return Instance(name, "ready", models, {})


def test_a_model_is_told_when_it_is_ready_and_only_once():
    news = News()
    assert news.update([instance(model("4", "LOADING"))]) == []
    assert news.update([instance(model("4"))]) == [("ready", model("4"))]
    assert news.update([instance(model("4"))]) == []


def test_new_files_of_the_same_version_are_news():
    news = News()
    news.update([instance(model("4", revision="a"))])
    changed = model("4", revision="b")
    assert news.update([instance(changed)]) == [("ready", changed)]


def test_a_failure_is_told_with_every_new_reason():
    news = News()
    empty, corrupt = model("4", "UNAVAILABLE", "empty"), model("4", "UNAVAILABLE", "corrupt")
    assert news.update([instance(empty)]) == [("failed", empty)]
    assert news.update([instance(empty)]) == []
    assert news.update([instance(corrupt)]) == [("failed", corrupt)]


def test_a_model_that_was_taken_away_is_told():
    news = News()
    news.update([instance(model("4"))])
    assert news.update([instance()]) == [("gone", model("4"))]


def test_the_return_of_a_crashed_instance_is_no_news():
    news = News()
    news.update([instance(model("4"))])
    assert news.update([]) == []
    assert news.update([instance(model("4", "LOADING"))]) == []
    assert news.update([instance(model("4"))]) == []


def test_all_has_arrived_when_every_instance_is_through_with_its_models():
    arrival = Arrival(["torch", "onnx"])
    onnx, torch = instance(model("2")), instance(model("1"), name="torch")
    loading = instance(model("1", "LOADING"), name="torch")
    assert not arrival.settled([onnx], 0.0)
    assert arrival.progress([onnx]) == "waiting for torch to join"
    assert not arrival.settled([onnx, loading], 0.0)
    assert arrival.progress([onnx, loading]) == "loading digits/1"
    assert arrival.settled([onnx, torch], 0.0)


def test_a_model_that_cannot_be_loaded_does_not_hold_up_the_rest():
    assert Arrival(["onnx"]).settled([instance(model("2", "UNAVAILABLE", "empty"))], 0.0)


def test_an_instance_without_models_is_given_time_to_look():
    arrival = Arrival(["onnx"])
    assert not arrival.settled([instance()], 10.0)
    assert not arrival.settled([instance()], 12.0)
    assert arrival.progress([instance()]) == "waiting for models"
    assert arrival.settled([instance()], 13.5)
