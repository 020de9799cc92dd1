"""The official Python client against a cluster: the ways in which programs use it. Prints `ok`."""
import datetime
import threading
import time
import uuid

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.stream import portforward, stream

config.load_kube_config()
core, apps, custom = client.CoreV1Api(), client.AppsV1Api(), client.CustomObjectsApi()


def pod(name, command=None, restart="Always"):
    container = client.V1Container(
        name="app", image="nginx", command=command, ports=[client.V1ContainerPort(container_port=80)])
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={"app": name}),
        spec=client.V1PodSpec(containers=[container], restart_policy=restart))


def until(what, check, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


def test_version_and_discovery():
    assert client.VersionApi().get_code().major == "1"
    assert any(group.name == "apps" for group in client.ApisApi().get_api_versions().groups)
    assert any(resource.name == "pods" for resource in core.get_api_resources().resources)


def test_namespaces_and_errors():
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="shop")))
    until("the default service account", lambda: core.list_namespaced_service_account("shop").items)
    try:
        core.read_namespaced_pod("absent", "shop")
        raise AssertionError("found")
    except ApiException as error:
        assert error.status == 404 and '"reason":"NotFound"' in error.body.replace(" ", ""), error.body


def test_pods_and_watch():
    seen = []
    version = core.list_namespaced_pod("shop").metadata.resource_version
    core.create_namespaced_pod("shop", pod("web"))
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_pod, "shop", resource_version=version, timeout_seconds=30):
        seen.append((event["type"], event["object"].status.phase))
        if event["object"].status.phase == "Running":
            watcher.stop()
    assert seen[0] == ("ADDED", "Pending") and seen[-1] == ("MODIFIED", "Running"), seen
    assert [one.metadata.name for one in core.list_namespaced_pod("shop", label_selector="app=web").items] == ["web"]
    page = core.list_pod_for_all_namespaces(limit=1)
    assert len(page.items) == 1


def test_patches():
    patched = core.patch_namespaced_pod("web", "shop", {"metadata": {"labels": {"tier": "front"}}})
    assert patched.metadata.labels == {"app": "web", "tier": "front"}
    patched = core.patch_namespaced_pod("web", "shop", [{"op": "remove", "path": "/metadata/labels/tier"}])
    assert patched.metadata.labels == {"app": "web"}


def test_server_side_apply():
    dynamic_client = dynamic.DynamicClient(client.ApiClient())
    maps = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "shop"}, "data": {"a": "1"}}
    applied = dynamic_client.server_side_apply(maps, body=body, namespace="shop", field_manager="one")
    assert applied.data.a == "1"
    body["data"]["a"] = "2"
    try:
        dynamic_client.server_side_apply(maps, body=body, namespace="shop", field_manager="two")
        raise AssertionError("no conflict")
    except ApiException as error:
        assert error.status == 409 and "conflict with" in str(error.body), error.body
    forced = dynamic_client.server_side_apply(maps, body=body, namespace="shop", field_manager="two", force_conflicts=True)
    assert forced.data.a == "2"
    managers = {entry.manager for entry in maps.get(name="m", namespace="shop").metadata.managedFields}
    assert "two" in managers, managers
    for event in maps.watch(namespace="shop", name="m", timeout=5):
        assert event["object"].data.a == "2"
        break


def test_exec():
    run = lambda command, **more: stream(
        core.connect_get_namespaced_pod_exec, "web", "shop", command=command, stderr=True, stdout=True, tty=False, **more)
    assert run(["sh", "-c", "echo out"], stdin=False) == "out\n"
    shell = run(["sh"], stdin=True, _preload_content=False)
    shell.write_stdin("echo from $((40+2))\n")
    assert shell.readline_stdout(timeout=10) == "from 42"
    shell.write_stdin("echo wrong >&2\n")
    assert shell.readline_stderr(timeout=10) == "wrong"
    shell.write_stdin("exit 3\n")
    shell.run_forever(timeout=10)
    assert shell.returncode == 3, shell.returncode


def test_port_forward():
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "shop", ports="80")
    socket = forward.socket(80)
    socket.setblocking(True)
    socket.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    answer = b""
    while piece := socket.recv(1024):
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 OK"), answer
    assert forward.error(80) is None, forward.error(80)


def test_logs():
    core.create_namespaced_pod("shop", pod("count", ["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"], "Never"))
    until("the pod runs", lambda: core.read_namespaced_pod("count", "shop").status.phase == "Running")
    lines = list(watch.Watch().stream(core.read_namespaced_pod_log, name="count", namespace="shop", follow=True))
    assert lines == ["line 1", "line 2", "line 3"], lines
    assert core.read_namespaced_pod_log("count", "shop", tail_lines=1) == "line 3\n"


def test_deployments():
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={"app": "d"}), spec=pod("d").spec)
    spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels={"app": "d"}), template=template)
    apps.create_namespaced_deployment(
        "shop", client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec))
    until("it is available", lambda: apps.read_namespaced_deployment("d", "shop").status.available_replicas == 2)
    scale = apps.read_namespaced_deployment_scale("d", "shop")
    scale.spec.replicas = 1
    apps.replace_namespaced_deployment_scale("d", "shop", scale)
    until("it is smaller", lambda: apps.read_namespaced_deployment("d", "shop").status.replicas == 1)
    name = core.list_namespaced_pod("shop", label_selector="app=d").items[0].metadata.name
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace="shop"))
    core.create_namespaced_pod_eviction(name, "shop", eviction)
    apps.delete_namespaced_deployment("d", "shop", propagation_policy="Foreground")
    until("its pods are gone", lambda: not core.list_namespaced_pod("shop", label_selector="app=d").items)


def test_custom_objects():
    schema = client.V1JSONSchemaProps(type="object", x_kubernetes_preserve_unknown_fields=True)
    version = client.V1CustomResourceDefinitionVersion(
        name="v1", served=True, storage=True, schema=client.V1CustomResourceValidation(open_apiv3_schema=schema))
    names = client.V1CustomResourceDefinitionNames(plural="widgets", singular="widget", kind="Widget")
    client.ApiextensionsV1Api().create_custom_resource_definition(client.V1CustomResourceDefinition(
        metadata=client.V1ObjectMeta(name="widgets.example.com"),
        spec=client.V1CustomResourceDefinitionSpec(group="example.com", names=names, scope="Namespaced", versions=[version])))
    at = ("example.com", "v1", "shop", "widgets")

    def served():
        try:
            return custom.list_namespaced_custom_object(*at)["kind"] == "WidgetList"
        except ApiException as error:
            assert error.status == 404
            return False

    until("the definition is served", served)
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "bolt"}, "spec": {"size": 3}}
    custom.create_namespaced_custom_object(*at, body)
    custom.patch_namespaced_custom_object(*at, "bolt", {"spec": {"size": 4}})
    assert custom.get_namespaced_custom_object(*at, "bolt")["spec"] == {"size": 4}
    for event in watch.Watch().stream(custom.list_namespaced_custom_object, *at, timeout_seconds=5):
        assert event["object"]["metadata"]["name"] == "bolt"
        break
    custom.delete_namespaced_custom_object(*at, "bolt")


class Stop(Exception):
    pass


def test_leader_election():
    leaders = []

    def run(name):
        def started():
            leaders.append(name)
            time.sleep(1)
            raise Stop

        lock = ConfigMapLock("election", "shop", name)
        settings = electionconfig.Config(
            lock, lease_duration=4, renew_deadline=3, retry_period=1, onstarted_leading=started, onstopped_leading=None)
        leaderelection.LeaderElection(settings).run()

    names = [str(uuid.uuid4()) for _ in range(2)]
    for name in names:
        threading.Thread(target=run, args=(name,), daemon=True).start()
    until("there is a leader", lambda: leaders)
    time.sleep(2)
    assert len(leaders) == 1, leaders
    record = core.read_namespaced_config_map("election", "shop").metadata.annotations
    assert leaders[0] in record["control-plane.alpha.kubernetes.io/leader"], record


def test_leases():
    now = datetime.datetime.now(datetime.timezone.utc)
    leases = client.CoordinationV1Api()
    spec = client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15, acquire_time=now, renew_time=now)
    leases.create_namespaced_lease("shop", client.V1Lease(metadata=client.V1ObjectMeta(name="l"), spec=spec))
    lease = leases.read_namespaced_lease("l", "shop")
    assert lease.spec.renew_time == now, (lease.spec.renew_time, now)
    stale = leases.read_namespaced_lease("l", "shop")
    leases.replace_namespaced_lease("l", "shop", lease)
    stale.metadata.resource_version = "1"
    try:
        leases.replace_namespaced_lease("l", "shop", stale)
        raise AssertionError("no conflict")
    except ApiException as error:
        assert error.status == 409


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
print("ok")
