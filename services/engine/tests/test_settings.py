"""Settings: typed, from the environment, one line where something is wrong."""

import pytest

from services.engine import settings
from services.engine.settings import EngineSettings

GIVEN = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "DATABASE_URL": "sqlite:///x.db",
    "INSTANCE": "order-0",
    "GRPC_PORT": "9051",
    "ADMIN_PORT": "9151",
    "HTTP_PORT": "9251",
}


def test_settings_are_read_from_the_environment_and_have_defaults() -> None:
    given = settings.read(EngineSettings, {**GIVEN, "FAULTS": "true", "INBOX_KEEP_S": "3.5", "PATH": "/bin"})
    assert (given.grpc_port, given.faults, given.inbox_keep_s) == (9051, True, 3.5)
    assert (given.host, given.saga_mode, given.log_level) == ("127.0.0.1", "choreographed", "INFO")


@pytest.mark.parametrize("value", ["0", "1", "false", "true"])
def test_a_switch_is_written_as_people_write_it(value: str) -> None:
    assert settings.read(EngineSettings, {**GIVEN, "FAULTS": value}).faults == (value in ("1", "true"))


@pytest.mark.parametrize(
    "wrong",
    [{"GRPC_PORT": "many"}, {"GRPC_PORT": "0"}, {"GRPC_PORT": "70000"}, {"SAGA_MODE": "other"}, {"INBOX_KEEP_S": "0"}],
    ids=str,
)
def test_a_wrong_setting_ends_the_process_with_one_line(wrong: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match="wrong settings in the environment") as ended:
        settings.read(EngineSettings, {**GIVEN, **wrong})
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize("name", GIVEN)
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SystemExit, match=name):
        settings.read(EngineSettings, {n: value for n, value in GIVEN.items() if n != name})
