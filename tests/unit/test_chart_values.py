"""The chart's values: what is refused, and what each one changes."""

from typing import Any

import pytest
import yaml

from deploy import crds
from tests.support.chart import CHART, Chart, Manifest, RefusedError, decoded, names, one, variables
from tidemill_operator.resources import WORKER_LABEL

EXTERNAL = {"database__mode": "external", "database__app__existingSecret": "mine"}


def test_lint_is_content(chart: Chart) -> None:
    chart.lint()
    chart.lint(**EXTERNAL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("replicas", 1),
        ("api__replica", 2),
        ("api__service__nodeport", 30080),
        ("api__service__nodePort", 80),
        ("image__tagg", "x"),
        ("image__digest", "sha256:short"),
        ("app", "no-colon"),
        ("database__mode", "sqlite"),
        ("database__app__secret", "x"),
        ("taskQueue__scaling__maxReplica", 3),
        ("taskQueue__scaling__maxReplicas", "three"),
        ("worker__resources__request", {}),
        ("worker__env", [{"nmae": "A"}]),
        ("operator__namespaces", ["Not A Namespace"]),
    ],
)
def test_mistakes_are_refused_by_name(chart: Chart, name: str, value: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render(**{name: value})
    assert "values don't meet the specifications of the schema" in str(refused.value)


def test_an_external_database_needs_a_secret(chart: Chart) -> None:
    with pytest.raises(RefusedError, match=r"database\.app\.existingSecret must name a Secret"):
        chart.render(database__mode="external")


def test_a_scaled_worker_must_be_there(chart: Chart) -> None:
    with pytest.raises(RefusedError, match=r"taskQueue\.enabled needs worker\.enabled"):
        chart.render(worker__enabled=False)


def test_an_external_database_brings_no_postgres_and_no_secret(chart: Chart) -> None:
    made = chart.render(**EXTERNAL)
    kinds = {each.partition("/")[0] for each in names(made)}
    assert not kinds & {"StatefulSet", "Secret", "ConfigMap", "PersistentVolumeClaim"}
    api = one(made, "Deployment", "tidemill-api")["spec"]["template"]["spec"]
    for container in (api["initContainers"][0], api["containers"][0]):
        url = variables(container)["TIDEMILL_DATABASE_URL"]
        assert url == {"secretKeyRef": {"name": "mine", "key": "url"}}


def test_each_login_has_its_own_secret(chart: Chart) -> None:
    made = chart.render()
    api = one(made, "Deployment", "tidemill-api")["spec"]["template"]["spec"]
    worker = one(made, "Deployment", "tidemill-worker")["spec"]["template"]["spec"]
    operator = one(made, "Deployment", "tidemill-operator")["spec"]["template"]["spec"]
    used = {
        "migrate": api["initContainers"][0],
        "api": api["containers"][0],
        "worker": worker["containers"][0],
        "operator": operator["containers"][0],
    }
    secrets = {
        name: variables(container)["TIDEMILL_DATABASE_URL"]["secretKeyRef"]["name"]
        for name, container in used.items()
    }
    assert secrets == {
        "migrate": "tidemill-database-owner",
        "api": "tidemill-database",
        "worker": "tidemill-database",
        "operator": "tidemill-database-operator",
    }
    for login, secret in (("owner", "tidemill-database-owner"), ("app", "tidemill-database")):
        data = decoded(one(made, "Secret", secret))
        address = "@tidemill-postgres.team.svc:5432/tidemill"
        assert data["url"] == f"postgresql://tidemill_{login}_login:{data['password']}{address}"


def test_only_worker_pods_are_watched_for_their_death(chart: Chart) -> None:
    labelled = {
        made["metadata"]["name"]
        for made in chart.render(worker__podLabels={"team": "ours"})
        if WORKER_LABEL in pod_labels(made)
    }
    assert labelled == {"tidemill-worker"}


def pod_labels(made: Manifest) -> Manifest:
    found: Manifest = made.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
    return found


def test_generated_secrets_outlive_the_release(chart: Chart) -> None:
    secrets = [m for m in chart.render() if m["kind"] == "Secret"]
    assert len(secrets) == 4
    for secret in secrets:
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_secret_of_ones_own_is_used_and_not_made(chart: Chart) -> None:
    made = chart.render(database__operator__existingSecret="ours")
    assert "Secret/tidemill-database-operator" not in names(made)
    container = one(made, "Deployment", "tidemill-operator")["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert variables(container)["TIDEMILL_DATABASE_URL"]["secretKeyRef"]["name"] == "ours"


def test_nobody_writes_the_replicas_of_a_scaled_worker(chart: Chart) -> None:
    made = chart.render()
    assert "replicas" not in one(made, "Deployment", "tidemill-worker")["spec"]
    queue = one(made, "TaskQueue", "default")["spec"]
    assert queue["queue"] == "*"
    assert queue["scaleTargetRef"]["name"] == "tidemill-worker"


def test_without_a_taskqueue_the_worker_has_replicas(chart: Chart) -> None:
    made = chart.render(taskQueue__enabled=False, worker__replicas=3)
    assert one(made, "Deployment", "tidemill-worker")["spec"]["replicas"] == 3
    assert "TaskQueue/default" not in names(made)


def test_a_namespaced_operator_has_no_cluster_rights(chart: Chart) -> None:
    made = chart.render(operator__clusterWide=False, operator__namespaces=["a", "b"])
    kinds = [m["kind"] for m in made]
    assert "ClusterRole" not in kinds
    assert "ClusterRoleBinding" not in kinds
    roles = {m["metadata"]["namespace"]: m for m in made if m["kind"] == "Role"}
    assert set(roles) == {"a", "b", "team"}
    operator = one(made, "Deployment", "tidemill-operator")["spec"]["template"]["spec"]
    assert variables(operator["containers"][0])["TIDEMILL_OPERATOR_NAMESPACES"] == "a,b"


def test_a_cluster_wide_operator_watches_every_namespace(chart: Chart) -> None:
    made = chart.render()
    assert "ClusterRole/team-tidemill-operator" in names(made)
    operator = one(made, "Deployment", "tidemill-operator")["spec"]
    assert operator["strategy"] == {"type": "Recreate"}
    variables_ = variables(operator["template"]["spec"]["containers"][0])
    assert "TIDEMILL_OPERATOR_NAMESPACES" not in variables_


def test_the_node_port_is_the_one_that_kind_maps(chart: Chart) -> None:
    made = chart.render(api__service__type="NodePort", api__service__nodePort=30080)
    service = one(made, "Service", "tidemill-api")["spec"]
    assert (service["type"], service["ports"][0]["nodePort"]) == ("NodePort", 30080)
    kind = yaml.safe_load((CHART.parents[1] / "kind-config.yaml").read_text())
    mapping = kind["nodes"][0]["extraPortMappings"][0]
    assert (mapping["containerPort"], mapping["hostPort"]) == (30080, 8080)


def test_a_digest_wins_over_the_tag(chart: Chart) -> None:
    digest = "sha256:" + "0" * 64
    made = chart.render(image__digest=digest, image__tag="x")
    container = one(made, "Deployment", "tidemill-api")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"tidemill@{digest}"


def test_a_verified_server_gets_its_certificate_mounted(chart: Chart) -> None:
    made = chart.render(**EXTERNAL, database__verifyCa=True)
    pod = one(made, "Deployment", "tidemill-worker")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    path = variables(container)["TIDEMILL_DATABASE_CA_FILE"]
    mount = next(m for m in container["volumeMounts"] if path.startswith(m["mountPath"]))
    volume = next(v for v in pod["volumes"] if v["name"] == mount["name"])
    assert volume["secret"]["secretName"] == "mine"


def test_the_types_are_registered_after_install_and_upgrade(chart: Chart) -> None:
    job = one(chart.render(app="mine.tasks:app"), "Job", "tidemill-types")
    assert job["metadata"]["annotations"] == {
        "helm.sh/hook": "post-install,post-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["types", "apply", "--app", "mine.tasks:app"]


def test_another_release_name_leaves_the_taskqueues_secret_where_they_look(chart: Chart) -> None:
    made = chart.render("blue")
    assert "Deployment/blue-tidemill-api" in names(made)
    url = decoded(one(made, "Secret", "tidemill-database"))["url"]
    assert url.endswith("@blue-tidemill-postgres.team.svc:5432/tidemill")


def test_the_charts_definitions_are_equal_to_their_source() -> None:
    assert crds.differing() == [], "run `python3 -m deploy crds`"


def test_the_scaling_values_are_those_of_the_definition(chart: Chart) -> None:
    crd = next(m for m in chart.render() if m["kind"] == "CustomResourceDefinition")
    version = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    defined = version["properties"]["spec"]["properties"]["scaling"]["properties"]
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    allowed = schema["properties"]["taskQueue"]["properties"]["scaling"]["properties"]
    assert set(allowed) == set(defined)


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    described = {name for name in schema["properties"] if name != "global"}
    assert described == set(values)
    for name, value in values.items():
        part = schema["properties"][name]
        part = schema["definitions"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        if isinstance(value, dict):
            assert set(part["properties"]) == set(value), name


def test_a_secret_of_tokens_is_mounted_into_the_api_alone(chart: Chart) -> None:
    name, place = "TIDEMILL_TOKENS_FILE", "/etc/tidemill/tokens/tokens.json"
    rendered = chart.render(auth__existingSecret="mine")
    pod = one(rendered, "Deployment", "tidemill-api")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert variables(container)[name] == place
    [mount] = [each for each in container["volumeMounts"] if each["name"] == "tokens"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/tidemill/tokens", True)
    [volume] = [each for each in pod["volumes"] if each["name"] == "tokens"]
    assert volume["secret"]["secretName"] == "mine"
    assert yaml.safe_dump_all(rendered).count("tokens.json") == place.count("tokens.json") + 2
    assert "tokens" not in yaml.safe_dump_all(chart.render())
