#!/usr/bin/env python3
"""Writes types.txt: the types of the API as objects/types.rs reads them, from a directory of OpenAPI v3 documents.

    generate.py OPENAPI_V3_DIRECTORY > types.txt

OpenAPI does not say which optional fields are pointers in the apiserver's types (a pointer to zero is kept, a plain
zero is left out) nor which times are written as null; the lists below do.
"""
import glob
import json
import sys

# Optional integers and booleans that are no pointers, unless KEPT names the type.
PLAIN = set("""
minReadySeconds numberAvailable numberUnavailable observedGeneration updatedNumberScheduled availableReplicas
readyReplicas replicas unavailableReplicas updatedReplicas currentReplicas fullyLabeledReplicas active failed succeeded
partition hostPort sizeBytes signal count failureThreshold initialDelaySeconds periodSeconds successThreshold
timeoutSeconds nodePort healthCheckNodePort deprecatedCount number priority generation code retryAfterSeconds
paused authenticated denied readOnly stdin stdinOnce tty chapAuthDiscovery chapAuthSession unschedulable hostIPC
hostNetwork hostPID publishNotReadyAddresses sslEnabled clusterScope globalDefault preserveUnknownFields deprecated
exclusiveMaximum exclusiveMinimum nullable uniqueItems x-kubernetes-embedded-resource x-kubernetes-int-or-string
insecureSkipTLSVerify
""".split())
KEPT = set("""
HorizontalPodAutoscalerStatus.observedGeneration DeploymentSpec.replicas ReplicaSetSpec.replicas StatefulSetSpec.replicas
RollingUpdateStatefulSetStrategy.partition VolumeNodeResources.count MutatingWebhook.timeoutSeconds
ValidatingWebhook.timeoutSeconds ReplicationControllerSpec.replicas ClientIPConfig.timeoutSeconds PodSpec.priority
""".split())
# Optional strings that are pointers.
POINTERS = set("""
PodSpec.runtimeClassName PodSpec.preemptionPolicy PodSpec.hostnameOverride PersistentVolumeClaimSpec.storageClassName
PersistentVolumeClaimSpec.volumeMode PersistentVolumeClaimSpec.volumeAttributesClassName PersistentVolumeSpec.volumeMode
PersistentVolumeSpec.volumeAttributesClassName HostPathVolumeSource.type PodSecurityContext.fsGroupChangePolicy
PodSecurityContext.seLinuxChangePolicy PodSecurityContext.supplementalGroupsPolicy SecurityContext.procMount
SeccompProfile.localhostProfile AppArmorProfile.localhostProfile Container.restartPolicy
EphemeralContainer.restartPolicy VolumeMount.mountPropagation VolumeMount.recursiveReadOnly ServicePort.appProtocol
EndpointPort.name EndpointPort.protocol EndpointPort.appProtocol HTTPIngressPath.pathType IngressSpec.ingressClassName
MutatingWebhook.failurePolicy MutatingWebhook.matchPolicy MutatingWebhook.reinvocationPolicy
ValidatingWebhook.failurePolicy ValidatingWebhook.matchPolicy RuleWithOperations.scope NamedRuleWithOperations.scope
WebhookClientConfig.url ServiceReference.path PodDNSConfigOption.value TopologySpreadConstraint.nodeAffinityPolicy
TopologySpreadConstraint.nodeTaintsPolicy ServiceSpec.ipFamilyPolicy ServiceSpec.internalTrafficPolicy
ServiceSpec.loadBalancerClass GRPCAction.service WindowsSecurityContextOptions.gmsaCredentialSpecName
WindowsSecurityContextOptions.gmsaCredentialSpec WindowsSecurityContextOptions.runAsUserName LeaseSpec.holderIdentity
LeaseSpec.preferredHolder LeaseSpec.strategy JobSpec.completionMode JobSpec.podReplacementPolicy JobSpec.managedBy
CronJobSpec.timeZone ClusterTrustBundleProjection.name ClusterTrustBundleProjection.signerName
PodResourceClaim.resourceClaimName PodResourceClaim.resourceClaimTemplateName TypedLocalObjectReference.apiGroup
TypedObjectReference.apiGroup TypedObjectReference.namespace StorageClass.reclaimPolicy StorageClass.volumeBindingMode
CustomResourceDefinitionVersion.deprecationWarning Endpoint.hostname Endpoint.nodeName Endpoint.zone
NetworkPolicyPort.protocol PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy
""".split())
# Times that are no pointers: null when unset.
NULL_TIMES = set("""
lastProbeTime lastTransitionTime lastHeartbeatTime startedAt finishedAt firstTimestamp lastTimestamp eventTime
lastObservedTime deprecatedFirstTimestamp deprecatedLastTimestamp lastUpdateTime expirationTimestamp
""".split())
NOT_NULL_TIMES = {"PodCertificateRequestStatus"}
# The apiserver's names of string types, which appear in its decoding errors.
NAMED = {
    "Container.imagePullPolicy": "v1.PullPolicy", "Container.terminationMessagePolicy": "v1.TerminationMessagePolicy",
    "PodSpec.restartPolicy": "v1.RestartPolicy", "PodSpec.dnsPolicy": "v1.DNSPolicy",
    "ContainerPort.protocol": "v1.Protocol", "ServicePort.protocol": "v1.Protocol", "ServiceSpec.type": "v1.ServiceType",
    "Toleration.operator": "v1.TolerationOperator", "Toleration.effect": "v1.TaintEffect",
    "ObjectMeta.uid": "types.UID", "OwnerReference.uid": "types.UID", "Secret.type": "v1.SecretType",
    "HTTPGetAction.scheme": "v1.URIScheme", "MutatingWebhook.failurePolicy": "v1.FailurePolicyType",
    "ValidatingWebhook.failurePolicy": "v1.FailurePolicyType", "MutatingWebhook.sideEffects": "v1.SideEffectClass",
    "ValidatingWebhook.sideEffects": "v1.SideEffectClass", "MutatingWebhook.matchPolicy": "v1.MatchPolicyType",
    "ValidatingWebhook.matchPolicy": "v1.MatchPolicyType",
    "MutatingWebhook.reinvocationPolicy": "v1.ReinvocationPolicyType", "RuleWithOperations.scope": "v1.ScopeType",
}
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "q", "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "x",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "t", "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "u",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Duration": "s", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "*",
}


def reference(schema):
    for part in [schema] + schema.get("allOf", []):
        if "$ref" in part:
            return part["$ref"].rsplit("/", 1)[-1]
    return None


def main():
    schemas = {}
    for name in sorted(glob.glob(sys.argv[1] + "/*__*.json")):
        schemas.update(json.load(open(name)).get("components", {}).get("schemas", {}))
    kept = {n: s for n, s in schemas.items()
            if n not in SPECIAL and s.get("properties") and not (n.endswith("List") and "items" in s["properties"])}
    numbers = {name: number for number, name in enumerate(sorted(kept))}

    def kind(schema):
        target = reference(schema)
        if target:
            return SPECIAL.get(target) or ("@%d" % numbers[target] if target in numbers else "*")
        what = schema.get("type")
        if what == "string":
            return {"byte": "B", "date-time": "t"}.get(schema.get("format"), "s")
        if what == "integer":
            return "i64" if schema.get("format") == "int64" else "i32"
        if what == "number":
            return "f"
        if what == "boolean":
            return "b"
        if what == "array":
            return "l" + kind(schema["items"])
        if what == "object" and isinstance(schema.get("additionalProperties"), dict):
            return "m" + kind(schema["additionalProperties"])
        return "*"

    out = []
    for name in sorted(kept):
        schema = kept[name]
        short = name.rsplit(".", 1)[-1]
        atomic = " atomic" if schema.get("x-kubernetes-map-type") == "atomic" else ""
        out.append("%s%s" % (name.removeprefix("io.k8s."), atomic))
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            if short == gvk["kind"]:
                out.append("+%s/%s/%s" % (gvk["group"], gvk["version"], gvk["kind"]))
        required = schema.get("required", [])
        for field in sorted(schema["properties"]):
            value = schema["properties"][field]
            code = kind(value)
            place = "%s.%s" % (short, field)
            flags = ""
            if code[0] == "@":
                flags = "!" if value.get("default") == {} else ""
            elif code in "tu":
                flags = "!" if field in NULL_TIMES and short not in NOT_NULL_TIMES else ""
            elif code == "q":
                flags = "!" if field == "divisor" or field in required else ""
            elif field in required:
                flags = "!"
            elif code[0] in "ib":
                flags = "0" if field in PLAIN and place not in KEPT else ""
            elif code == "s":
                flags = "" if place in POINTERS else "0"
            tail = ""
            listing = value.get("x-kubernetes-list-type")
            if value.get("x-kubernetes-map-type") == "atomic" or listing == "atomic":
                tail = " atomic"
            elif listing == "set":
                tail = " set"
            elif listing == "map":
                tail = " map:" + ",".join(value["x-kubernetes-list-map-keys"])
            if place in NAMED:
                tail += " go:" + NAMED[place]
            if "default" in value and value["default"] not in ({}, "", 0, False) and listing is None:
                tail += " default:" + json.dumps(value["default"])
            out.append(" %s %s %s%s" % (field, code, flags or "-", tail))
    print("\n".join(out))


main()
