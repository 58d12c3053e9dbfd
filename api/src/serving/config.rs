//! What an operator can set about serving, as far as admission needs it, with the values Knative ships.
//!
//! Nothing reads the ConfigMaps yet: every caller passes `ServingConfig::default()`, and the one that will read them
//! passes what they say.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The parts of Knative's ConfigMaps that defaults and rules of serving kinds depend on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServingConfig {
    /// `config-defaults`
    pub defaults: ServingDefaults,
    /// `config-features`
    pub features: Features,
    /// `config-autoscaler`
    pub autoscaler: AutoscalerLimits,
}

/// `config-defaults`: what a Revision gets that does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct ServingDefaults {
    /// `revision-timeout-seconds`
    pub timeout_seconds: i64,
    /// `max-revision-timeout-seconds`
    pub max_timeout_seconds: i64,
    /// `revision-response-start-timeout-seconds`; used only where it is below a Revision's `timeoutSeconds`.
    pub response_start_timeout_seconds: i64,
    /// `revision-idle-timeout-seconds`; used as the one before, and 0 is none.
    pub idle_timeout_seconds: i64,
    /// `container-concurrency`
    pub container_concurrency: i64,
    /// `container-concurrency-max-limit`
    pub container_concurrency_max: i64,
    /// `allow-container-concurrency-zero`
    pub allow_container_concurrency_zero: bool,
    /// `container-name-template`, rendered.
    pub container_name: String,
    /// `init-container-name-template`, rendered.
    pub init_container_name: String,
    /// `enable-service-links`; `None` is `default`, which leaves it to Kubernetes.
    pub enable_service_links: Option<bool>,
    /// `revision-{cpu,memory,ephemeral-storage}-request`, by resource.
    pub requests: BTreeMap<String, Quantity>,
    /// `revision-{cpu,memory,ephemeral-storage}-limit`, by resource.
    pub limits: BTreeMap<String, Quantity>,
}

impl Default for ServingDefaults {
    fn default() -> Self {
        Self {
            timeout_seconds: 300,
            max_timeout_seconds: 600,
            response_start_timeout_seconds: 300,
            idle_timeout_seconds: 0,
            container_concurrency: 0,
            container_concurrency_max: 1_000,
            allow_container_concurrency_zero: true,
            container_name: "user-container".to_owned(),
            init_container_name: "init-container".to_owned(),
            enable_service_links: Some(false),
            requests: BTreeMap::new(),
            limits: BTreeMap::new(),
        }
    }
}

/// `config-autoscaler`: bounds of annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AutoscalerLimits {
    /// `allow-zero-initial-scale`
    pub allow_zero_initial_scale: bool,
    /// `max-scale-limit`; 0 is none.
    pub max_scale_limit: i32,
}

/// `config-features`: what a Revision may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `secure-pod-defaults`
    pub secure_pod_defaults: SecurePodDefaults,
    /// Every other flag that differs from the shipped one; see [`Features::allow`].
    pub flags: BTreeMap<Feature, bool>,
}

impl Features {
    /// Whether `feature` may be used. Knative's `Allowed` differs from `Enabled` only where a pod opts in, which
    /// there is no way to do for any of these.
    pub fn allow(&self, feature: Feature) -> bool {
        self.flags.get(&feature).copied().unwrap_or_else(|| feature.is_shipped_enabled())
    }

    /// These, but for `feature`.
    #[must_use]
    pub fn with(mut self, feature: Feature, allowed: bool) -> Self {
        self.flags.insert(feature, allowed);
        self
    }
}

/// `secure-pod-defaults`: what a container gets whose security context does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurePodDefaults {
    /// Nothing.
    #[default]
    Disabled,
    /// What the `restricted` profile asks for, but for the user.
    AllowRootBounded,
    /// What the `restricted` profile asks for.
    Enabled,
}

/// Declares [`Feature`] with its keys, so that the two cannot drift apart.
macro_rules! features {
    ($($name:ident = $key:literal,)*) => {
        /// One flag of `config-features` that decides what a manifest may say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Feature {
            $(#[doc = concat!("`", $key, "`")] $name,)*
        }

        impl Feature {
            /// Its key in the ConfigMap.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }
        }
    };
}

features! {
    MultiContainer = "multi-container",
    MultiContainerProbing = "multi-container-probing",
    Affinity = "kubernetes.podspec-affinity",
    TopologySpreadConstraints = "kubernetes.podspec-topologyspreadconstraints",
    HostAliases = "kubernetes.podspec-hostaliases",
    NodeSelector = "kubernetes.podspec-nodeselector",
    Tolerations = "kubernetes.podspec-tolerations",
    RuntimeClassName = "kubernetes.podspec-runtimeclassname",
    DnsPolicy = "kubernetes.podspec-dnspolicy",
    DnsConfig = "kubernetes.podspec-dnsconfig",
    SecurityContext = "kubernetes.podspec-securitycontext",
    ShareProcessNamespace = "kubernetes.podspec-shareprocessnamespace",
    HostIpc = "kubernetes.podspec-hostipc",
    HostPid = "kubernetes.podspec-hostpid",
    HostNetwork = "kubernetes.podspec-hostnetwork",
    PriorityClassName = "kubernetes.podspec-priorityclassname",
    SchedulerName = "kubernetes.podspec-schedulername",
    InitContainers = "kubernetes.podspec-init-containers",
    FieldRef = "kubernetes.podspec-fieldref",
    EmptyDir = "kubernetes.podspec-volumes-emptydir",
    PersistentVolumeClaim = "kubernetes.podspec-persistent-volume-claim",
    PersistentVolumeWrite = "kubernetes.podspec-persistent-volume-write",
    HostPath = "kubernetes.podspec-volumes-hostpath",
    ImageVolume = "kubernetes.podspec-volumes-image",
    Ephemeral = "kubernetes.podspec-volumes-ephemeral",
    Csi = "kubernetes.podspec-volumes-csi",
    MountPropagation = "kubernetes.podspec-volumes-mount-propagation",
    AddCapabilities = "kubernetes.containerspec-addcapabilities",
}

impl Feature {
    /// Whether it is enabled as Knative ships it.
    const fn is_shipped_enabled(self) -> bool {
        matches!(self, Self::MultiContainer | Self::EmptyDir)
    }

    /// Why a field is refused, for error messages.
    pub(super) fn is_off(self) -> String {
        format!("the feature {} is off", self.key())
    }
}
