//! Rules of volumes and of their mounts.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{KeyToPath, PodSpec, Volume, VolumeMount, VolumeProjection};

use super::container::Rules;
use super::expect_one;
use crate::names::{DNS1123_LABEL, is_dns1123_label};
use crate::serving::config::{Feature, ServingConfig};
use crate::serving::quantity::{QUANTITY, is_quantity};
use crate::validation::{FieldError, Path, require};

/// Adds every rule the volumes of `pod` break; returns them by name.
pub(super) fn validate<'a>(
    pod: &'a PodSpec,
    config: &ServingConfig,
    path: &Path,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'a str, &'a Volume> {
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let mounted: BTreeSet<&str> =
        containers.flat_map(|container| container.volume_mounts.iter().flatten()).map(|mount| &*mount.name).collect();
    let mut volumes = BTreeMap::new();
    for (index, volume) in pod.volumes.iter().flatten().enumerate() {
        let path = path.field("volumes").index(index);
        let (name, name_path) = (&volume.name, path.field("name"));
        if name.is_empty() {
            errors.push(FieldError::missing(name_path));
        } else if !is_dns1123_label(name) {
            errors.push(FieldError::invalid(name_path, name, DNS1123_LABEL));
        } else if volumes.contains_key(name.as_str()) {
            errors.push(FieldError::invalid(name_path, name, "another volume has this name"));
        } else if !mounted.contains(name.as_str()) {
            errors.push(FieldError::invalid(name_path, name, "no container mounts it"));
        }
        validate_source(volume, config, &path, errors);
        volumes.insert(name.as_str(), volume);
    }
    volumes
}

fn validate_source(volume: &Volume, config: &ServingConfig, path: &Path, errors: &mut Vec<FieldError>) {
    let json = serde_json::to_value(volume).unwrap_or_default();
    let sources: Vec<&str> = json
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys())
        .map(String::as_str)
        .filter(|&f| f != "name")
        .collect();
    let options = [
        ("secret", None),
        ("configMap", None),
        ("projected", None),
        ("emptyDir", Some(Feature::EmptyDir)),
        ("persistentVolumeClaim", Some(Feature::PersistentVolumeClaim)),
        ("hostPath", Some(Feature::HostPath)),
        ("image", Some(Feature::ImageVolume)),
        ("ephemeral", Some(Feature::Ephemeral)),
        ("csi", Some(Feature::Csi)),
    ];
    let options: Vec<&str> = options
        .into_iter()
        .filter(|(_, feature)| feature.is_none_or(|feature| config.features.allow(feature)))
        .map(|(source, _)| source)
        .collect();
    expect_one(&sources, &options.join(", "), path, errors);
    if let Some(secret) = &volume.secret {
        validate_items(secret.items.as_deref(), &path.field("secret"), errors);
    }
    if let Some(map) = &volume.config_map {
        validate_items(map.items.as_deref(), &path.field("configMap"), errors);
    }
    let projections = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    for (index, projection) in projections.enumerate() {
        validate_projection(projection, &path.field("projected").field("sources").index(index), errors);
    }
    if let Some(dir) = &volume.empty_dir {
        let path = path.field("emptyDir");
        let medium = dir.medium.as_deref().unwrap_or_default();
        if !matches!(medium, "" | "Memory") {
            errors.push(FieldError::invalid(path.field("medium"), &medium, "expected nothing or Memory"));
        }
        if let Some(limit) = dir.size_limit.as_ref().filter(|limit| !is_quantity(&limit.0)) {
            errors.push(FieldError::invalid(path.field("sizeLimit"), limit, QUANTITY));
        }
    }
    if let Some(claim) = &volume.persistent_volume_claim
        && claim.read_only != Some(true)
        && !config.features.allow(Feature::PersistentVolumeWrite)
    {
        let path = path.field("persistentVolumeClaim").field("readOnly");
        let detail = format!("expected true: {}", Feature::PersistentVolumeWrite.is_off());
        errors.push(FieldError::invalid(path, &claim.read_only, detail));
    }
}

fn validate_projection(projection: &VolumeProjection, path: &Path, errors: &mut Vec<FieldError>) {
    let VolumeProjection { secret, config_map, service_account_token, downward_api, .. } = projection;
    let mut found = Vec::new();
    if let Some(secret) = secret {
        found.push("secret");
        let path = path.field("secret");
        require([("name", &secret.name)], &path, errors);
        validate_items(secret.items.as_deref(), &path, errors);
    }
    if let Some(map) = config_map {
        found.push("configMap");
        let path = path.field("configMap");
        require([("name", &map.name)], &path, errors);
        validate_items(map.items.as_deref(), &path, errors);
    }
    if let Some(token) = service_account_token {
        found.push("serviceAccountToken");
        require([("path", &token.path)], &path.field("serviceAccountToken"), errors);
    }
    if let Some(api) = downward_api {
        found.push("downwardAPI");
        let list = path.field("downwardAPI").field("items");
        for (index, file) in api.items.iter().flatten().enumerate() {
            let path = list.index(index);
            let mut found = Vec::new();
            found.extend(file.field_ref.as_ref().map(|_| "fieldRef"));
            found.extend(file.resource_field_ref.as_ref().map(|_| "resourceFieldRef"));
            expect_one(&found, "fieldRef, resourceFieldRef", &path, errors);
            require([("path", &file.path)], &path, errors);
        }
    }
    expect_one(&found, "secret, configMap, serviceAccountToken, downwardAPI", path, errors);
}

fn validate_items(items: Option<&[KeyToPath]>, path: &Path, errors: &mut Vec<FieldError>) {
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        require([("key", &item.key), ("path", &item.path)], &path.field("items").index(index), errors);
    }
}

/// Adds every rule the mounts of one container break.
pub(super) fn validate_mounts(mounts: &[VolumeMount], rules: Rules<'_>, list: &Path, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = list.index(index);
        let volume = rules.volumes.get(mount.name.as_str());
        if volume.is_none() {
            errors.push(FieldError::invalid(path.field("name"), &mount.name, "volumeMount has no matching volume"));
        }
        let (place, place_path) = (clean(&mount.mount_path), path.field("mountPath"));
        if mount.mount_path.is_empty() {
            errors.push(FieldError::missing(place_path));
        } else if !mount.mount_path.starts_with('/') {
            errors.push(FieldError::invalid(place_path, &mount.mount_path, "expected an absolute path"));
        } else if matches!(place.as_str(), "/" | "/dev" | "/dev/log") {
            errors.push(FieldError::invalid(place_path, &mount.mount_path, "a reserved path"));
        } else if !seen.insert(place) {
            errors.push(FieldError::invalid(place_path, &mount.mount_path, "another volume is mounted here"));
        }
        let can_write = |volume: &&Volume| {
            let claim = volume.persistent_volume_claim.as_ref();
            let writable = claim.is_some_and(|claim| claim.read_only != Some(true))
                && rules.features.allow(Feature::PersistentVolumeWrite);
            volume.empty_dir.is_some() || volume.ephemeral.is_some() || writable
        };
        if mount.read_only != Some(true) && !volume.is_some_and(can_write) {
            let detail = "expected true: volumes of this type cannot be written to";
            errors.push(FieldError::invalid(path.field("readOnly"), &mount.read_only.unwrap_or_default(), detail));
        }
    }
}

/// An absolute path without `//`, `.` and `..`.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
