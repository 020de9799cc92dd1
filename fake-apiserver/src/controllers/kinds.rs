//! The kinds that controllers read and write.

/// Where a kind is served and stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    /// Plural name in URLs.
    pub(crate) resource: &'static str,
    /// The store's table.
    pub(crate) table: &'static str,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

macro_rules! kinds {
    ($($name:ident = $group:literal $version:literal $kind:literal $resource:literal $table:literal;)*) => {
        $(pub(crate) const $name: Kind =
            Kind { group: $group, version: $version, kind: $kind, resource: $resource, table: $table };)*
    };
}

kinds! {
    CLUSTER_ROLE = "rbac.authorization.k8s.io" "v1" "ClusterRole" "clusterroles" "clusterroles.rbac.authorization.k8s.io";
    CONFIG_MAP = "" "v1" "ConfigMap" "configmaps" "configmaps";
    CONTROLLER_REVISION = "apps" "v1" "ControllerRevision" "controllerrevisions" "controllerrevisions.apps";
    CRON_JOB = "batch" "v1" "CronJob" "cronjobs" "cronjobs.batch";
    DAEMON_SET = "apps" "v1" "DaemonSet" "daemonsets" "daemonsets.apps";
    DEPLOYMENT = "apps" "v1" "Deployment" "deployments" "deployments.apps";
    ENDPOINT_SLICE = "discovery.k8s.io" "v1" "EndpointSlice" "endpointslices" "endpointslices.discovery.k8s.io";
    EVENT = "" "v1" "Event" "events" "events";
    JOB = "batch" "v1" "Job" "jobs" "jobs.batch";
    NAMESPACE = "" "v1" "Namespace" "namespaces" "namespaces";
    NODE = "" "v1" "Node" "nodes" "nodes";
    PERSISTENT_VOLUME_CLAIM = "" "v1" "PersistentVolumeClaim" "persistentvolumeclaims" "persistentvolumeclaims";
    POD_DISRUPTION_BUDGET = "policy" "v1" "PodDisruptionBudget" "poddisruptionbudgets" "poddisruptionbudgets.policy";
    POD = "" "v1" "Pod" "pods" "pods";
    REPLICATION_CONTROLLER = "" "v1" "ReplicationController" "replicationcontrollers" "replicationcontrollers";
    REPLICA_SET = "apps" "v1" "ReplicaSet" "replicasets" "replicasets.apps";
    RESOURCE_QUOTA = "" "v1" "ResourceQuota" "resourcequotas" "resourcequotas";
    SECRET = "" "v1" "Secret" "secrets" "secrets";
    SERVICE = "" "v1" "Service" "services" "services";
    SERVICE_ACCOUNT = "" "v1" "ServiceAccount" "serviceaccounts" "serviceaccounts";
    STATEFUL_SET = "apps" "v1" "StatefulSet" "statefulsets" "statefulsets.apps";
}
