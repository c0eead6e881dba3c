"""What `doctor` says of machines on which things work and on which they do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from harness.config import ExperimentConfig
from harness.doctor.cluster_check import NEEDED, check_cluster
from harness.doctor.disk_check import check_disk
from harness.doctor.docker_check import check_docker, engine_finding
from harness.doctor.findings import Finding, as_json, exit_code, print_table
from harness.doctor.metrics_check import check_metrics
from harness.doctor.models_check import check_models
from harness.doctor.ray_check import check_ray

CONF = Path(__file__).parents[2] / "conf"
SECRET = "sk-very-secret-0123456789"


def config(**fields: Any) -> ExperimentConfig:
    given: dict[str, Any] = {
        "name": "doctor",
        "question": "?",
        "scenario": "all",
        "agents": {"react": {"kind": "react"}},
        "models": {"claude": yaml.safe_load((CONF / "model" / "claude.yaml").read_text())},
        "arms": {"baseline": ()},
        "executor": {"kind": "local"},
    }
    return ExperimentConfig.model_validate(given | fields)


def one(found: Sequence[Finding], check: str) -> Finding:
    (finding,) = [each for each in found if each.check == check]
    return finding


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness.sandbox import engine

    engine.engine.cache_clear()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.usefixtures("no_engine")
def test_a_missing_engine_is_a_failure_only_for_a_run_that_needs_one() -> None:
    assert one(check_docker(config()), "docker").status == "absent"
    needed = one(check_docker(config(sandbox={"kind": "docker"})), "docker")
    assert needed.status == "failed"
    assert "no engine answers" in needed.what
    assert "dockerd" in needed.hint


def test_an_engine_that_cannot_limit_is_no_sandbox() -> None:
    able = {"ServerVersion": "1", "MemoryLimit": True, "CpuCfsQuota": True, "PidsLimit": True}
    able["SecurityOptions"] = ["name=seccomp,profile=default"]
    assert engine_finding(able, needed=True).status == "ok"
    for key, word in (("MemoryLimit", "memory"), ("PidsLimit", "processes"), ("SecurityOptions", "seccomp")):
        finding = engine_finding({**able, key: None}, needed=True)
        assert finding.status == "failed"
        assert word in finding.what


def test_keys_are_told_to_be_set_or_not_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    missing = check_models(config())
    assert one(missing, "model claude").status == "failed"
    assert one(missing, "model claude").hint == "export ANTHROPIC_API_KEY=..."
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    found = check_models(config())
    assert one(found, "model claude").status == "ok"
    assert "ANTHROPIC_API_KEY is set, price known" in one(found, "model claude").what
    assert SECRET not in as_json(found)
    assert one(found, "model gpt").status == "ok"


def test_an_unknown_price_fails_under_a_money_budget() -> None:
    fields = yaml.safe_load((CONF / "model" / "openai_compatible.yaml").read_text())
    models = {"mine": fields}
    plain = one(check_models(config(models=models)), "model mine")
    assert (plain.status, "price unknown" in plain.what) == ("ok", True)
    limited = one(check_models(config(models=models, budget={"usd": 1})), "model mine")
    assert limited.status == "failed"
    assert "price" in limited.what


def test_an_agent_that_brings_its_own_model_needs_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    own = config(agents={"external": {"kind": "external", "argv": ["true"]}})
    assert one(check_models(own), "model claude").status == "absent"


class ApiServer(NamedTuple):
    """An API server that knows its version and whom it trusts with what."""

    address: str
    forbidden: set[str]

    def kubeconfig(self, folder: Path) -> str:
        entries = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.address}}],
            "users": [{"name": "u", "user": {"token": SECRET}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(entries))
        return str(path)


@contextmanager
def api_server(
    forbidden: Sequence[str] = (), groups: Sequence[str] = (), prometheus: int = 0
) -> Iterator[ApiServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/version"):
                unsaid = ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
                self.answer(
                    {"major": "1", "minor": "31", "gitVersion": "v1.31.0"} | dict.fromkeys(unsaid, "")
                )
            elif self.path.startswith("/api/v1/query"):
                self.answer({"data": {"result": [{"value": [0, "1"]}] * prometheus}})
            else:
                listed = [{"name": name, "versions": []} for name in groups]
                self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wanted = asked["spec"]["resourceAttributes"]
            name = f"{wanted['verb']} {wanted['resource']}"
            self.answer({**asked, "status": {"allowed": name not in forbidden}}, 201)

        def answer(self, body: Any, status: int = 200) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield ApiServer(f"http://127.0.0.1:{server.server_port}", set(forbidden))
        finally:
            server.shutdown()
            thread.join()


def live(kubeconfig: str, kind: str = "kubernetes") -> ExperimentConfig:
    return config(environment={"kind": kind, "kubernetes": {"kubeconfig": kubeconfig}})


def test_a_cluster_is_told_with_the_permissions_that_are_missing(tmp_path: Path) -> None:
    with api_server() as server:
        found = check_cluster(live(server.kubeconfig(tmp_path)))
    assert [(each.check, each.status) for each in found] == [("cluster", "ok"), ("permissions", "ok")]
    assert "v1.31.0" in found[0].what
    assert str(len(NEEDED)) in found[1].what
    with api_server(forbidden=["create namespaces", "list nodes"]) as server:
        permissions = one(check_cluster(live(server.kubeconfig(tmp_path))), "permissions")
    assert permissions.status == "failed"
    assert permissions.what == "not allowed: create namespaces, list nodes"


def test_a_cluster_that_does_not_answer_is_explained(tmp_path: Path) -> None:
    with api_server() as server:
        kubeconfig = server.kubeconfig(tmp_path)
    (silent,) = check_cluster(live(kubeconfig))
    assert (silent.status, "not answer" in silent.what) == ("failed", True)
    assert SECRET not in as_json([silent])
    (unneeded,) = check_cluster(live(kubeconfig, "simulated"))
    assert unneeded.status == "absent"
    (unknown,) = check_cluster(live(str(tmp_path / "nowhere")))
    assert (unknown.status, "KUBECONFIG" in unknown.hint) == ("failed", True)


def test_where_metrics_come_from(tmp_path: Path) -> None:
    assert one(check_metrics(config()), "metrics").status == "ok"
    empty = config(environment={"kind": "snapshot", "root": str(tmp_path)})
    assert one(check_metrics(empty), "metrics").status == "failed"
    (tmp_path / "Scenario-2").mkdir()
    assert "1 recorded" in one(check_metrics(empty), "metrics").what
    for groups, status in (((), "absent"), (("metrics.k8s.io",), "ok")):
        with api_server(groups=groups) as server:
            assert one(check_metrics(live(server.kubeconfig(tmp_path))), "metrics").status == status


@pytest.mark.parametrize(("samples", "status"), [(2, "ok"), (0, "failed")])
def test_a_prometheus_is_asked_what_it_scrapes(samples: int, status: str) -> None:
    with api_server(prometheus=samples) as server:
        attached = {"kubernetes": {"attached": {"prometheus": server.address}}, "kind": "attached"}
        finding = one(check_metrics(config(environment=attached)), "metrics")
    assert (finding.status, server.address in finding.what) == (status, True)
    silent = one(check_metrics(config(environment=attached)), "metrics")
    assert (silent.status, "port-forward" in silent.hint) == ("failed", True)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(check_disk(config())) == 0
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(100e9, 99.5e9, 0.5e9))
    assert {each.status for each in check_disk(config())} == {"failed"}
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(100e9, 97e9, 3e9))
    assert exit_code(check_disk(config())) == 0
    assert one(check_disk(config(executor={"kind": "ray"})), "disk: temporary").status == "failed"


class Usage(NamedTuple):
    total: float
    used: float
    free: float


def test_a_ray_that_cannot_be_had_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(*_: Any, **__: Any) -> None:
        raise Exception("The current node timed out during startup.\nA traceback")

    assert "not needed" in one(check_ray(config()), "ray").what
    monkeypatch.setattr("ray.init", init)
    started = one(check_ray(config(executor={"kind": "ray"})), "ray")
    assert (started.status, "executor=local" in started.hint) == ("failed", True)
    assert "The current node timed out during startup." in started.what
    assert "traceback" not in started.what
    monkeypatch.setattr("ray.init", lambda **_: (_ for _ in ()).throw(ConnectionError("refused")))
    joined = one(check_ray(config(executor={"kind": "ray", "address": "10.0.0.1:6379"})), "ray")
    assert joined.status == "failed"
    assert "executor.address=10.0.0.1:6379: no cluster could be joined" in joined.what


def test_the_table_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Finding("a", "ok", "fine"), Finding("b", "failed", "[broken]", "mend it")]
    print_table(found)
    shown = capsys.readouterr().out
    assert "[broken]" in shown
    assert "→ mend it" in shown
    assert (exit_code(found), exit_code(found[:1])) == (1, 0)


def test_the_command_examines_what_its_overrides_need(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "doctor", "--json", "sandbox=docker"]
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "KUBECONFIG": str(tmp_path / "none")}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | nowhere, cwd=CONF.parent
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    statuses = {each["check"]: each["status"] for each in told["findings"]}
    assert not told["ok"]
    ray = next(each for each in told["findings"] if each["check"] == "ray")
    assert (ray["status"], "a task runs" in ray["what"]) == ("ok", True), ray
    assert statuses["docker"] == "failed"
    assert statuses["cluster"] == "absent"
    assert statuses["model sim_isolated"] == "ok"
