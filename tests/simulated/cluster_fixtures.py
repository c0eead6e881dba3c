"""A tiny runtime and small manifests for the tests of the simulated cluster."""

from __future__ import annotations

from harness.cluster import LogLine, Manifest
from harness.environments.simulated.process import Process
from harness.environments.simulated.store import ObjectStore
from harness.environments.simulated.world import World

NS = "shop"
MISSING_IMAGE = "registry.example/none:1"
NOT_FOUND = f'rpc error: code = NotFound desc = failed to resolve reference "{MISSING_IMAGE}": not found'


class FakeRuntime:
    """Containers run, unless their command or image says otherwise; `unready` apps fail their probe."""

    def __init__(self) -> None:
        self.changes = 0
        self.unready: set[str] = set()
        self.usage: dict[str, tuple[float, float]] = {}

    def container_started(self, pod: Manifest, container: str, store: ObjectStore, now: float) -> Process:
        every = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
        command = " ".join(next(c for c in every if c["name"] == container).get("command", []))
        if command.startswith("exit"):
            return Process("exits", 5.0, int(command.split()[1]), logs=("starting", "cannot go on"))
        if command == "oom":
            return Process("oom", 2.0)
        if command == "invalid-command":
            return Process(
                "start_error", message='exec: "invalid-command": executable file not found in $PATH'
            )
        return Process("runs", logs=("listening",))

    def pod_ready(self, pod: Manifest, store: ObjectStore, now: float) -> bool:
        return pod["metadata"]["labels"]["app"] not in self.unready

    def startup_seconds(self, pod: Manifest) -> float:
        return 3.0

    def image_exists(self, image: str) -> bool | str:
        return NOT_FOUND if image == MISSING_IMAGE else True

    def pod_usage(self, pod: Manifest, now: float) -> tuple[float, float]:
        return self.usage.get(pod["metadata"]["labels"]["app"], (0.0, 0.0))

    def changed(self, now: float, store: ObjectStore) -> None:
        self.changes += 1

    def container_logs(
        self, pod: Manifest, container: str, store: ObjectStore, now: float, tail: int, previous: bool
    ) -> list[LogLine]:
        return [] if previous else [LogLine(now, "still here")]


def namespace(name: str = NS) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def deployment(name: str, replicas: int = 1, memory: str = "64Mi", **pod_fields: object) -> Manifest:
    container = {
        "name": name,
        "image": f"registry.example/{name}:1.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"limits": {"memory": memory}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NS, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container], **pod_fields},
            },
        },
    }


def service(name: str, target: int | str = "http") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NS},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": target}]},
    }


def world_with(*manifests: Manifest, seed: int = 1) -> World:
    """A world in which the manifests have been deployed and a minute has passed."""
    world = World(seed, FakeRuntime())
    world.deploy([namespace(), *manifests])
    world.advance(60)
    return world


def pods(world: World, app: str) -> list[Manifest]:
    return world.store.list("Pod", NS, {"app": app})


def container_patch(name: str, **fields: object) -> Manifest:
    return {"spec": {"template": {"spec": {"containers": [{"name": name, **fields}]}}}}


def reasons(world: World, name: str = "") -> list[str]:
    """Event reasons, of objects whose name begins with `name`."""
    events = world.store.events
    return [event["reason"] for event in events if event["involvedObject"]["name"].startswith(name)]
