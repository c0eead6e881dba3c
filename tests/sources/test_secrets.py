"""A password stays out of what is said: of variables, of addresses, of servers' answers."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from pydantic import ValidationError

from harness.config import parse_config
from harness.environments.kubernetes.sources import web
from harness.environments.kubernetes.sources.choice import clickhouse_of
from harness.environments.kubernetes.sources.clickhouse import ClickHouse
from harness.errors import ConfigurationError, InfrastructureError
from harness.live_config import AttachedConfig
from harness.models import create_model
from tests.sources.local import Answer, Asked, serving
from tests.sources.test_choice import config

SECRET = "hunter2"
ADDRESSES = (
    f"http://ch:8123/?user=sre&password={SECRET}",
    f"http://sre:{SECRET}@ch:8123",
    f"sre:{SECRET}@ch:8123",
    f"ftp://ch/{SECRET}",
    {"url": "http://ch", "password": SECRET},
)


def attached(value: Any, field: str) -> dict[str, Any]:
    raw = config().model_dump(mode="json")
    raw["environment"]["kubernetes"]["attached"][field] = value
    return raw


class TestVariables:
    @pytest.fixture
    def settings(self) -> AttachedConfig:
        return AttachedConfig(
            prometheus="http://p", clickhouse="http://ch", clickhouse_password_env="MONITORING"
        )

    @pytest.mark.parametrize(
        "value", [f"{SECRET}\n", f"{SECRET}\r", f"\x07{SECRET}", f"{SECRET}\x7f", f"{SECRET}\udcff"]
    )
    def test_what_cannot_be_sent_is_refused_and_not_repeated(
        self, settings: AttachedConfig, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MONITORING", value)
        with pytest.raises(ConfigurationError, match="MONITORING holds a line break") as refused:
            clickhouse_of(settings)
        assert SECRET not in "".join(traceback.format_exception(refused.value))

    def test_any_other_text_is_sent(self, settings: AttachedConfig, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Asked] = []

        def reply(one: Asked) -> Answer:
            asked.append(one)
            return Answer(b'{"data": []}')

        monkeypatch.setenv("MONITORING", "é ☃\u2028")
        with serving(reply) as url:
            server = clickhouse_of(settings)
            assert server is not None
            server._replace(url=url).rows("SELECT 1", tuple[int])
        sent = {key.lower(): value for key, value in asked[0].headers.items()}["x-clickhouse-key"]
        assert sent.encode("latin-1").decode() == "é ☃\u2028"


class TestAddresses:
    @pytest.mark.parametrize("field", ["prometheus", "clickhouse", "jaeger"])
    @pytest.mark.parametrize("value", ADDRESSES)
    def test_of_an_attached_application(self, field: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=field) as refused:
            parse_config(attached(value, field))
        assert SECRET not in str(refused.value)
        with pytest.raises(ValidationError) as shown:
            AttachedConfig(**{"prometheus": "http://p", field: value})
        assert SECRET not in str(shown.value)

    @pytest.mark.parametrize("value", ADDRESSES)
    def test_of_a_model(self, value: Any) -> None:
        fields = {"kind": "litellm", "model": "openai/x", "api_base": value}
        with pytest.raises(ConfigurationError, match="api_base") as refused:
            create_model("mine", fields)
        assert SECRET not in str(refused.value)

    def test_a_password_in_place_of_its_variables_name(self) -> None:
        with pytest.raises(ConfigurationError, match="clickhouse_password_env") as refused:
            parse_config(attached(f"{SECRET}!", "clickhouse_password_env"))
        assert SECRET not in str(refused.value)

    def test_a_section_that_is_none(self) -> None:
        raw = config().model_dump(mode="json")
        raw["environment"]["kubernetes"]["attached"] = f"http://sre:{SECRET}@ch"
        with pytest.raises(ConfigurationError, match="attached") as refused:
            parse_config(raw)
        assert SECRET not in str(refused.value)


class TestAnswers:
    def test_settings_are_left_out_whatever_the_password_is(self) -> None:
        """`readonly` is the password and a word of the server's refusal."""

        def reply(asked: Asked) -> Answer:
            said = b"Code: 164. DB::Exception: Cannot modify 'readonly' setting in readonly mode"
            return Answer(said, status=500) if "readonly" in asked.parameters else Answer(b'{"data": []}')

        with serving(reply) as url:
            assert ClickHouse(url, "sre", "readonly").rows("SELECT 1", tuple[int]) == []

    @pytest.mark.parametrize("status", [200, 500])
    def test_no_part_of_a_password_is_left_where_an_answer_is_cut(self, status: int) -> None:
        said = Answer(("x" * (web.SHOWN - 4) + "two  words").encode(), status=status)
        with serving(lambda _: said) as url, pytest.raises(InfrastructureError) as refused:
            ClickHouse(url, "sre", "two  words").rows("SELECT 1", tuple[int])
        assert "two" not in str(refused.value)
