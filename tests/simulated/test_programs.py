"""Scripts, credentials and network policies: what follows from texts and rules that somebody may edit."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cluster import Manifest
from harness.environments.simulated.api_load import HARMLESS_RPS, strain_ms
from harness.environments.simulated.clock import Clock
from harness.environments.simulated.policies import Policies
from harness.environments.simulated.programs import run_script, settings
from harness.environments.simulated.store import ObjectStore
from scenarios.faults.credentials import FILL_STORAGE
from scenarios.faults.init_containers import BAD_CONFIG, LOAD_CONFIG

NS = "shop"
HOME = "/opt/app-root/src"
LOADER = ["/bin/sh", "-c", "python3.14 ~/scripts/load_config.py"]


def store_with(*manifests: Manifest) -> ObjectStore:
    store = ObjectStore(Clock(0.0), 1)
    for manifest in manifests:
        store.put(manifest)
    return store


def loader_files(config: str, script: str = LOAD_CONFIG) -> dict[str, str]:
    return {f"{HOME}/config/config.json": config, f"{HOME}/scripts/load_config.py": script}


def test_a_script_that_loads_json_fails_on_what_is_none() -> None:
    broken = run_script(LOADER, loader_files(BAD_CONFIG), "", 0)
    assert broken is not None
    assert (broken.outcome, broken.exit_code) == ("exits", 1)
    assert "JSONDecodeError" in broken.logs[-1]
    repaired = run_script(LOADER, loader_files("{}"), "", 0)
    assert repaired is not None
    assert (repaired.outcome, repaired.exit_code) == ("exits", 0)


def test_a_script_that_does_not_look_at_the_file_does_not_mind() -> None:
    process = run_script(LOADER, loader_files(BAD_CONFIG, "print('hello')"), "", 0)
    assert process is not None
    assert process.exit_code == 0


@pytest.mark.parametrize("words", [LOADER, ["/bin/sh", "/data/scripts/fill_storage.sh"]])
def test_a_script_that_is_not_mounted_is_an_error(words: list[str]) -> None:
    process = run_script(words, {}, "", 0)
    assert process is not None
    assert process.exit_code
    assert "No such file" in process.logs[0]


def test_a_script_that_fills_the_memory_serves_until_it_is_killed() -> None:
    path = "/data/scripts/fill_storage.sh"
    words = ["/bin/sh", path]
    process = run_script(words, {path: FILL_STORAGE}, "valkey-server", 28)
    assert process is not None
    assert (process.outcome, process.serves) == ("oom", True)
    assert 25 < process.after_s < 35
    unbounded = run_script(words, {path: FILL_STORAGE}, "valkey-server", float("inf"))
    plain = run_script(words, {path: "#!/bin/sh\nexec valkey-server\n"}, "valkey-server", 28)
    for harmless in (unbounded, plain):
        assert harmless is not None
        assert (harmless.outcome, harmless.serves) == ("runs", True)


def test_options_take_their_values_from_variables_and_those_from_secrets() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "credentials", "namespace": NS},
        "data": {"password": "b3Blbg=="},
    }
    container: dict[str, Any] = {
        "name": "valkey",
        "command": ["valkey-server"],
        "args": ["--requirepass", "$(PASSWORD)", "--save="],
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "credentials", "key": "password"}}}
        ],
    }
    assert settings(container, store_with(secret), NS) == {
        "PASSWORD": "open",
        "requirepass": "open",
        "save": "",
    }


# --- network policies

POD: Manifest = {
    "metadata": {"name": "cart-0", "namespace": NS, "labels": {"app": "cart"}},
    "spec": {"containers": [{"name": "cart", "ports": [{"name": "http", "containerPort": 8080}]}]},
}
CALLERS = {"web": {"app": "web"}, "batch": {"app": "batch"}}
WEB = {"matchLabels": CALLERS["web"]}
EVERYBODY = (("web", 8080), ("batch", 8080))


def closed(*specs: Manifest) -> tuple[tuple[str, int], ...]:
    policies = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"policy-{number}", "namespace": NS},
            "spec": spec,
        }
        for number, spec in enumerate(specs)
    ]
    return Policies(store_with(*policies), NS).closed(POD, CALLERS)


@pytest.mark.parametrize(
    ("spec", "kept_out"),
    [
        ({"podSelector": {}, "policyTypes": ["Ingress"]}, EVERYBODY),
        ({"podSelector": {"matchLabels": {"app": "cart"}}, "ingress": []}, EVERYBODY),
        ({"podSelector": {"matchLabels": {"app": "other"}}, "ingress": []}, ()),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, ()),
        ({"podSelector": {}, "ingress": [{"ports": []}]}, ()),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 8080}]}]}, ()),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]}, ()),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 8000, "endPort": 9000}]}]}, ()),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}, EVERYBODY),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 8080, "protocol": "UDP"}]}]}, EVERYBODY),
        ({"podSelector": {}, "ingress": [{"from": [{"podSelector": WEB}]}]}, EVERYBODY[1:]),
        ({"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]}, ()),
        ({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]}, EVERYBODY),
    ],
)  # fmt: skip
def test_a_policy_keeps_out_what_no_rule_lets_in(
    spec: Manifest, kept_out: tuple[tuple[str, int], ...]
) -> None:
    assert closed(spec) == kept_out


def test_what_one_policy_lets_in_another_does_not_keep_out() -> None:
    assert closed({"podSelector": {}, "ingress": []}, {"podSelector": {}, "ingress": [{}]}) == ()


# --- the API server


def test_an_api_server_that_is_asked_rarely_costs_nobody_anything() -> None:
    assert strain_ms(0) == strain_ms(HARMLESS_RPS) == 0
    assert 0 < strain_ms(2 * HARMLESS_RPS) < strain_ms(5 * HARMLESS_RPS)
