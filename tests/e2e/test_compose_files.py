import json
import subprocess

import pytest

from tests.e2e.cluster import COMPOSE, ROOT

FILES = {
    "registry": ("docker-compose.yml",),
    "offline": ("docker-compose.yml", "docker-compose.offline.yml"),
}
ONCE = {"secrets", "bucket", "cli", "demo"}
OWN = ONCE | {"lockserver", "partitionserver-1", "partitionserver-2", "paramserver", "trainer"}


@pytest.fixture(scope="module", params=FILES)
def services(request):
    """Every service of the cluster, profiles included, as Compose understands the files."""
    files = [argument for name in FILES[request.param] for argument in ("-f", name)]
    command = [COMPOSE, *files, "--profile", "*", "config", "--format", "json"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["services"]


def test_ports_are_open_to_this_machine_alone(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port["host_ip"] == "127.0.0.1" for port in ports)


def test_images_have_versions(services):
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert tag not in (service["image"], "latest"), name


def test_our_own_containers_may_do_nothing_but_their_work(services):
    for name in OWN:
        service = services[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and service["init"], name
        assert "user" not in service, name  # the image's own: not root


def test_what_runs_for_long_is_watched_and_restarted(services):
    for name in set(services) - ONCE:
        service = services[name]
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_nothing_takes_the_memory_of_the_whole_machine(services):
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name


def test_a_process_is_given_longer_to_stop_than_it_takes(services):
    for name in OWN - ONCE:
        service = services[name]
        assert service["stop_grace_period"] == "30s", name
        assert float(service["environment"]["GRAPHBED_GRACE_SECONDS"]) + 10 <= 30, name


def test_trainers_can_be_many(services):
    trainer = services["trainer"]
    assert "container_name" not in trainer and "ports" not in trainer


def test_secrets_come_from_files(services):
    for name, service in services.items():
        for variable in service.get("environment") or {}:
            secret = any(word in variable for word in ("PASSWORD", "SECRET", "ACCESS_KEY", "ROOT_USER"))
            assert not secret or variable.endswith("_FILE"), f"{name}: {variable}"
