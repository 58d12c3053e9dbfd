//! What a Revision may say about its pod. Source: resources.md 6.4 to 6.6.
//!
//! `containers` and `ports` are lists without a key, as in Knative's schema: a container may be without a name until
//! defaults give it one, and a port without a number.

use super::shape::Shape::{
    Keyed, List, Number, NumberOrText, Numbers, Object, Open, OpenList, Quantities, Switch, Text, TextMap, Texts,
};
use super::shape::{Field, field, never, with};
use crate::serving::config::Feature;

/// The fields of PodSpec.
pub(super) const POD: &[Field] = &[
    field("containers", List(CONTAINER))
        .doc("Containers of the Revision; the one with a port, or the only one, serves."),
    field("volumes", Keyed(VOLUME, "name")).doc("Volumes that containers mount."),
    field("serviceAccountName", Text).doc("ServiceAccount the pods run as."),
    field("imagePullSecrets", Keyed(NAMED, "name")).doc("Secrets to pull images with."),
    field("enableServiceLinks", Switch).doc("Whether Services appear as environment variables; false unless set."),
    field("automountServiceAccountToken", Switch).doc("Only false can be set: do not mount the account's token."),
    with(Feature::Affinity, "affinity", Open),
    with(Feature::TopologySpreadConstraints, "topologySpreadConstraints", List(TOPOLOGY_SPREAD)),
    with(Feature::HostAliases, "hostAliases", Keyed(HOST_ALIAS, "ip")),
    with(Feature::NodeSelector, "nodeSelector", TextMap),
    with(Feature::Tolerations, "tolerations", List(TOLERATION)),
    with(Feature::RuntimeClassName, "runtimeClassName", Text),
    with(Feature::SecurityContext, "securityContext", Object(POD_SECURITY_CONTEXT)),
    with(Feature::PriorityClassName, "priorityClassName", Text),
    with(Feature::SchedulerName, "schedulerName", Text),
    with(Feature::InitContainers, "initContainers", List(CONTAINER)),
    with(Feature::DnsPolicy, "dnsPolicy", Text),
    with(Feature::DnsConfig, "dnsConfig", Object(DNS_CONFIG)),
    with(Feature::ShareProcessNamespace, "shareProcessNamespace", Switch),
    with(Feature::HostIpc, "hostIPC", Switch),
    with(Feature::HostPid, "hostPID", Switch),
    with(Feature::HostNetwork, "hostNetwork", Switch),
    never("restartPolicy", Text),
    never("terminationGracePeriodSeconds", Number),
    never("activeDeadlineSeconds", Number),
    never("nodeName", Text),
    never("hostname", Text),
    never("hostnameOverride", Text),
    never("hostUsers", Switch),
    never("subdomain", Text),
    never("setHostnameAsFQDN", Switch),
    never("priority", Number),
    never("preemptionPolicy", Text),
    never("readinessGates", OpenList),
    never("schedulingGates", OpenList),
    never("ephemeralContainers", OpenList),
    never("resourceClaims", OpenList),
    never("resources", Open),
    never("overhead", Quantities),
    never("os", Open),
    never("serviceAccount", Text),
];

const NAMED: &[Field] = &[field("name", Text)];

const CONTAINER: &[Field] = &[
    field("name", Text).doc("Name of the container; user-container unless set."),
    field("image", Text).doc("Image to run."),
    field("args", Texts).doc("Arguments to the entrypoint; the image's unless set."),
    field("command", Texts).doc("Entrypoint; the image's unless set."),
    field("env", Keyed(ENV, "name")).doc("Environment variables. PORT and the K_ names are set for you."),
    field("envFrom", List(ENV_FROM)).doc("ConfigMaps and Secrets whose entries become environment variables."),
    field("workingDir", Text).doc("Working directory; the image's unless set."),
    field("imagePullPolicy", Text).doc("Always, Never or IfNotPresent."),
    field("livenessProbe", Object(PROBE)).doc("Restarts the container when it fails."),
    field("readinessProbe", Object(PROBE)).doc("Decides whether the pod gets requests; a TCP connection unless set."),
    field("startupProbe", Object(PROBE)).doc("Has to succeed before the other probes begin."),
    field("ports", List(PORT)).doc("The one port requests go to; 8080 unless set. The name h2c selects HTTP/2."),
    field("resources", Object(RESOURCES)).doc("CPU, memory and storage to reserve, and to be limited to."),
    field("securityContext", Object(SECURITY_CONTEXT)).doc("Privileges of the container."),
    field("terminationMessagePath", Text).doc("File whose content becomes the termination message."),
    field("terminationMessagePolicy", Text).doc("File or FallbackToLogsOnError."),
    field("volumeMounts", Keyed(VOLUME_MOUNT, "mountPath")).doc("Where volumes appear in the container."),
    never("lifecycle", Open),
    never("stdin", Switch),
    never("stdinOnce", Switch),
    never("tty", Switch),
    never("volumeDevices", OpenList),
    never("resizePolicy", OpenList),
    never("restartPolicy", Text),
    never("restartPolicyRules", OpenList),
];

const ENV: &[Field] = &[field("name", Text), field("value", Text), field("valueFrom", Object(ENV_VALUE_FROM))];

const ENV_VALUE_FROM: &[Field] = &[
    field("configMapKeyRef", Object(KEY_REF)),
    field("secretKeyRef", Object(KEY_REF)),
    with(Feature::FieldRef, "fieldRef", Object(FIELD_REF)),
    with(Feature::FieldRef, "resourceFieldRef", Object(RESOURCE_FIELD_REF)),
    never("fileKeyRef", Open),
];

const KEY_REF: &[Field] = &[field("name", Text), field("key", Text), field("optional", Switch)];
const FIELD_REF: &[Field] = &[field("apiVersion", Text), field("fieldPath", Text)];
const RESOURCE_FIELD_REF: &[Field] =
    &[field("containerName", Text), field("divisor", NumberOrText), field("resource", Text)];

const ENV_FROM: &[Field] =
    &[field("prefix", Text), field("configMapRef", Object(OPTIONAL_REF)), field("secretRef", Object(OPTIONAL_REF))];
const OPTIONAL_REF: &[Field] = &[field("name", Text), field("optional", Switch)];

const PROBE: &[Field] = &[
    field("initialDelaySeconds", Number),
    field("timeoutSeconds", Number),
    field("periodSeconds", Number),
    field("successThreshold", Number),
    field("failureThreshold", Number),
    field("terminationGracePeriodSeconds", Number),
    field("httpGet", Object(HTTP_GET)),
    field("tcpSocket", Object(TCP_SOCKET)),
    field("exec", Object(EXEC)),
    field("grpc", Object(GRPC)),
];
const HTTP_GET: &[Field] = &[
    field("host", Text),
    field("path", Text),
    field("port", NumberOrText),
    field("scheme", Text),
    field("httpHeaders", List(HTTP_HEADER)),
];
const HTTP_HEADER: &[Field] = &[field("name", Text), field("value", Text)];
const TCP_SOCKET: &[Field] = &[field("host", Text), field("port", NumberOrText)];
const EXEC: &[Field] = &[field("command", Texts)];
const GRPC: &[Field] = &[field("port", Number), field("service", Text)];

const PORT: &[Field] = &[
    field("containerPort", Number),
    field("name", Text),
    field("protocol", Text),
    never("hostIP", Text),
    never("hostPort", Number),
];

const RESOURCES: &[Field] = &[field("requests", Quantities), field("limits", Quantities), never("claims", OpenList)];

const SECURITY_CONTEXT: &[Field] = &[
    field("capabilities", Object(CAPABILITIES)),
    field("readOnlyRootFilesystem", Switch),
    field("runAsUser", Number),
    field("runAsGroup", Number),
    field("runAsNonRoot", Switch),
    field("allowPrivilegeEscalation", Switch),
    field("seccompProfile", Object(SECCOMP)),
    field("privileged", Switch),
    never("procMount", Text),
    never("seLinuxOptions", Open),
    never("appArmorProfile", Open),
    never("windowsOptions", Open),
];
/// Who may use `add` is decided in `security.rs`: not by a flag alone.
const CAPABILITIES: &[Field] = &[field("add", Texts), field("drop", Texts)];
const SECCOMP: &[Field] = &[field("type", Text), field("localhostProfile", Text)];

const POD_SECURITY_CONTEXT: &[Field] = &[
    field("runAsUser", Number),
    field("runAsGroup", Number),
    field("runAsNonRoot", Switch),
    field("fsGroup", Number),
    field("supplementalGroups", Numbers),
    field("seccompProfile", Object(SECCOMP)),
    never("fsGroupChangePolicy", Text),
    never("supplementalGroupsPolicy", Text),
    never("seLinuxChangePolicy", Text),
    never("seLinuxOptions", Open),
    never("appArmorProfile", Open),
    never("sysctls", OpenList),
    never("windowsOptions", Open),
];

const VOLUME_MOUNT: &[Field] = &[
    field("name", Text),
    field("mountPath", Text),
    field("readOnly", Switch),
    field("subPath", Text),
    with(Feature::MountPropagation, "mountPropagation", Text),
    never("recursiveReadOnly", Text),
    never("subPathExpr", Text),
];

const VOLUME: &[Field] = &[
    field("name", Text),
    field("secret", Object(SECRET_VOLUME)),
    field("configMap", Object(CONFIG_MAP_VOLUME)),
    field("projected", Object(PROJECTED_VOLUME)),
    with(Feature::EmptyDir, "emptyDir", Object(EMPTY_DIR)),
    with(Feature::PersistentVolumeClaim, "persistentVolumeClaim", Object(CLAIM)),
    with(Feature::HostPath, "hostPath", Object(HOST_PATH)),
    with(Feature::ImageVolume, "image", Object(IMAGE_VOLUME)),
    with(Feature::Ephemeral, "ephemeral", Open),
    with(Feature::Csi, "csi", Object(CSI)),
    never("awsElasticBlockStore", Open),
    never("azureDisk", Open),
    never("azureFile", Open),
    never("cephfs", Open),
    never("cinder", Open),
    never("downwardAPI", Open),
    never("fc", Open),
    never("flexVolume", Open),
    never("flocker", Open),
    never("gcePersistentDisk", Open),
    never("gitRepo", Open),
    never("glusterfs", Open),
    never("iscsi", Open),
    never("nfs", Open),
    never("photonPersistentDisk", Open),
    never("portworxVolume", Open),
    never("quobyte", Open),
    never("rbd", Open),
    never("scaleIO", Open),
    never("storageos", Open),
    never("vsphereVolume", Open),
];

const ITEMS: &[Field] = &[field("key", Text), field("path", Text), field("mode", Number)];
const SECRET_VOLUME: &[Field] =
    &[field("secretName", Text), field("defaultMode", Number), field("items", List(ITEMS)), field("optional", Switch)];
const CONFIG_MAP_VOLUME: &[Field] =
    &[field("name", Text), field("defaultMode", Number), field("items", List(ITEMS)), field("optional", Switch)];
const PROJECTED_VOLUME: &[Field] = &[field("defaultMode", Number), field("sources", List(PROJECTION))];
const PROJECTION: &[Field] = &[
    field("secret", Object(PROJECTED_REF)),
    field("configMap", Object(PROJECTED_REF)),
    field("serviceAccountToken", Object(TOKEN)),
    field("downwardAPI", Object(DOWNWARD_API)),
    never("clusterTrustBundle", Open),
    never("podCertificate", Open),
];
const PROJECTED_REF: &[Field] = &[field("name", Text), field("items", List(ITEMS)), field("optional", Switch)];
const TOKEN: &[Field] = &[field("audience", Text), field("expirationSeconds", Number), field("path", Text)];
const DOWNWARD_API: &[Field] = &[field("items", List(DOWNWARD_FILE))];
const DOWNWARD_FILE: &[Field] = &[
    field("path", Text),
    field("fieldRef", Object(FIELD_REF)),
    field("resourceFieldRef", Object(RESOURCE_FIELD_REF)),
    field("mode", Number),
];
const EMPTY_DIR: &[Field] = &[field("medium", Text), field("sizeLimit", NumberOrText)];
const CLAIM: &[Field] = &[field("claimName", Text), field("readOnly", Switch)];
const HOST_PATH: &[Field] = &[field("path", Text), field("type", Text)];
const IMAGE_VOLUME: &[Field] = &[field("reference", Text), field("pullPolicy", Text)];
const CSI: &[Field] = &[
    field("driver", Text),
    field("fsType", Text),
    field("readOnly", Switch),
    field("volumeAttributes", TextMap),
    field("nodePublishSecretRef", Object(NAMED)),
];

const HOST_ALIAS: &[Field] = &[field("ip", Text), field("hostnames", Texts)];
const TOLERATION: &[Field] = &[
    field("key", Text),
    field("operator", Text),
    field("value", Text),
    field("effect", Text),
    field("tolerationSeconds", Number),
];
const TOPOLOGY_SPREAD: &[Field] = &[
    field("maxSkew", Number),
    field("topologyKey", Text),
    field("whenUnsatisfiable", Text),
    field("labelSelector", Open),
    field("matchLabelKeys", Texts),
    field("minDomains", Number),
    field("nodeAffinityPolicy", Text),
    field("nodeTaintsPolicy", Text),
];
const DNS_CONFIG: &[Field] =
    &[field("nameservers", Texts), field("searches", Texts), field("options", List(DNS_OPTION))];
const DNS_OPTION: &[Field] = &[field("name", Text), field("value", Text)];
