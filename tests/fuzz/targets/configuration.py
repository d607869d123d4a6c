"""Files of configuration, by the first byte: penstock.yaml, model.yaml, config.pbtxt."""

from backends.models import pbtxt
from backends.models.config import ModelConfig
from gateway.config import Config
from protos.strict_yaml import ConfigError, load
from tests.fuzz.refusing import check_sentence
from tests.fuzz.targets.strict_yaml import check_line


def one(data: bytes) -> None:
    text = data[1:].decode("utf-8", "replace")
    try:
        match data[0] % 3 if data else 0:
            case 0:
                load(text, "penstock.yaml", Config)
            case 1:
                load(text, "model.yaml", ModelConfig)
            case _:
                _, warnings = pbtxt.parse(text, "config.pbtxt")
                for warning in warnings:
                    check_sentence(warning)
    except ConfigError as error:
        check_line(error, text)
