"""Which programs make up the stack, and with which environment."""

import configparser
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sluicegate.local.programs import Program, environment, ports_needed, programs, supervisord_conf
from sluicegate.local.secrets import create_secrets, secret_file
from sluicegate.settings import Settings

ENVOY = ("/opt/envoy", "-c", "/home/gateway/envoy.json")
AIRFLOW = ("airflow-api", "airflow-scheduler", "airflow-dags", "airflow-triggerer")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", airflow_port=7001, mlflow_port=7002, gateway_port=7003, gateway_admin_port=7004)


def parsed(settings: Settings, *parts: Program) -> configparser.RawConfigParser:
    """The configuration as supervisord reads it: with % for interpolation, and strict about repetition."""
    found = configparser.RawConfigParser(strict=True, inline_comment_prefixes=(";", "#"))
    found.read_string(supervisord_conf(settings, parts))
    return found


class TestPrograms:
    def test_the_stack_is_a_gateway_its_guard_mlflow_and_the_four_parts_of_airflow(self, settings: Settings) -> None:
        names = [part.name for part in programs(settings, ENVOY)]
        assert names == ["gateway", "guard", "mlflow", "sweep", *AIRFLOW]

    def test_with_a_cluster_only_airflow_is_here(self, settings: Settings) -> None:
        away = replace(settings, profile="kubernetes")
        assert [part.name for part in programs(away, ())] == [*AIRFLOW]
        assert list(ports_needed(away)) == ["Airflow"]

    def test_the_gateway_starts_before_what_uses_it(self, settings: Settings) -> None:
        parts = programs(settings, ENVOY)
        assert [p.priority for p in parts] == sorted(p.priority for p in parts)

    def test_what_answers_is_asked_for_its_health_on_the_port_of_the_settings(self, settings: Settings) -> None:
        asked = {p.name: p.health for p in programs(settings, ENVOY) if p.health}
        assert asked.pop("guard") == f"file://{settings.gateway}/guard"
        assert {name: url.split("/")[2] for name, url in asked.items()} == {
            "gateway": "127.0.0.1:7004",
            "mlflow": "127.0.0.1:7002",
            "airflow-api": "127.0.0.1:7001",
        }

    def test_scheduler_and_triggerer_serve_no_logs_because_those_servers_would_listen_to_the_world(
        self, settings: Settings
    ) -> None:
        commands = {p.name: p.command for p in programs(settings, ENVOY)}
        assert "-s" in commands["airflow-scheduler"]
        assert "-s" in commands["airflow-triggerer"]

    def test_nothing_is_told_to_listen_on_all_addresses(self, settings: Settings) -> None:
        told = " ".join(word for p in programs(settings, ENVOY) for word in p.command) + str(environment(settings))
        assert "0.0.0.0" not in told
        assert "--host 127.0.0.1" in " ".join(next(p for p in programs(settings, ENVOY) if p.name == "mlflow").command)
        assert environment(settings)["AIRFLOW__API__HOST"] == "127.0.0.1"

    def test_each_port_that_must_be_free_names_the_variable_that_moves_it(self, settings: Settings) -> None:
        for number, (port, variable) in enumerate(ports_needed(settings).values()):
            moved = Settings.from_environment({variable: str(9000 + number)})
            assert port in (7001, 7002, 7003, 7004)
            assert 9000 + number in {p for p, _ in ports_needed(moved).values()}


class TestEnvironment:
    def test_a_child_reads_the_same_settings(self, settings: Settings) -> None:
        told = replace(
            settings, models=settings.home / "models", journal_url="postgresql://db/journal", server_ports=(7100, 7140)
        )
        assert Settings.from_environment(environment(told)) == told

    def test_secrets_are_in_files_and_never_in_the_environment_or_on_a_command_line(self, settings: Settings) -> None:
        create_secrets(settings.home)
        secrets = [secret_file(settings.home, name).read_text() for name in ("fernet", "api", "jwt")]
        shown = str(environment(settings)) + supervisord_conf(settings, programs(settings, ENVOY))
        assert not [s for s in secrets if s in shown]

    def test_one_setting_moves_airflow_to_postgresql(self, settings: Settings) -> None:
        moved = environment(settings, "postgresql://db/airflow")
        both = [moved[f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN{kind}"] for kind in ("", "_ASYNC")]
        assert both == ["postgresql+psycopg://db/airflow"] * 2  # the one driver that is installed serves both

    def test_without_it_airflow_keeps_sqlite_in_the_home_and_waits_for_its_lock(self, settings: Settings) -> None:
        url = make_url(environment(settings)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        assert url.database == str(settings.home / "airflow" / "airflow.db")
        assert 10 <= float(str(url.query["timeout"])) < 30  # longer than a start, shorter than the patience of those who ask

    def test_a_killed_task_or_triggerer_is_noticed_within_half_a_minute(self, settings: Settings) -> None:
        told = environment(settings)
        assert int(told["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]) <= 30
        assert int(told["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"]) <= 30

    def test_every_airflow_setting_is_one_that_airflow_knows(self, settings: Settings) -> None:
        known = airflow_options()
        told = [name.removeprefix("AIRFLOW__").lower() for name in environment(settings) if name.startswith("AIRFLOW__")]
        assert len(told) > 20
        assert not [name for name in told if name.removesuffix("_cmd") not in known]


class TestConfigurationOfSupervisord:
    def test_every_program_has_a_section_and_is_stopped_with_all_its_children(self, settings: Settings) -> None:
        conf = parsed(settings, *programs(settings, ENVOY))
        sections = [conf[name] for name in conf.sections() if name.startswith("program:")]
        assert len(sections) == len(programs(settings, ENVOY))
        assert all(s["stopasgroup"] == s["killasgroup"] == "true" for s in sections)

    def test_what_it_writes_can_be_read_by_its_owner_alone(self, settings: Settings) -> None:
        conf = parsed(settings)
        assert conf["supervisord"]["umask"] == "077"
        assert conf["unix_http_server"]["chmod"] == "0700"

    @pytest.mark.parametrize("word", ["plain", "two words", "50%", "a;b", "x y %s;z"])
    def test_a_command_is_started_with_exactly_its_words(self, settings: Settings, word: str) -> None:
        conf = parsed(settings, Program("echo", ("/bin/echo", word, "end")))
        command = conf["program:echo"]["command"] % {}  # as supervisord expands it
        shown = subprocess.run([sys.executable, "-c", SPLIT, command], capture_output=True, text=True, check=True).stdout
        assert shown.splitlines() == ["/bin/echo", word, "end"]


SPLIT = "import shlex, sys; print(*shlex.split(sys.argv[1]), sep=chr(10))"


def airflow_options() -> set[str]:
    """section__option of all that this Airflow can be told, from its own list and without importing it."""
    import importlib.util

    import yaml

    found = importlib.util.find_spec("airflow")
    assert found is not None
    assert found.submodule_search_locations is not None
    config = Path(found.submodule_search_locations[0]) / "config_templates" / "config.yml"
    sections = yaml.load(config.read_text(), Loader=yaml.CSafeLoader)
    return {f"{section}__{option}" for section, about in sections.items() for option in about.get("options") or {}}
