//! Where a Route or Service sends requests, and the rules about it. Source: resources.md 8.1.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{DNS1035_LABEL, is_dns1035_label};
use crate::validation::{FieldError, Path, exactly_one};

/// One target of a Route and its share of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTarget {
    /// Tag gives the target an address of its own, also without a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// RevisionName sends requests to this Revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_name: Option<String>,
    /// ConfigurationName sends requests to this Configuration's latest ready Revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_name: Option<String>,
    /// LatestRevision says that the target moves on with each new Revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_revision: Option<bool>,
    /// Percent of the requests; those of all targets add up to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i64>,
    /// URL of the target's own address; only in a status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl TrafficTarget {
    fn revision(&self) -> &str {
        self.revision_name.as_deref().unwrap_or_default()
    }

    fn configuration(&self) -> &str {
        self.configuration_name.as_deref().unwrap_or_default()
    }
}

/// Whose targets they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A Route names Revisions or Configurations.
    Route,
    /// A Service has one Configuration, which is meant where no Revision is named.
    Service,
}

/// Fills in what targets leave out; a Service without any gets one for its latest Revision.
pub(super) fn set_defaults(traffic: &mut Vec<TrafficTarget>, owner: Owner) {
    if traffic.is_empty() && owner == Owner::Service {
        traffic.push(TrafficTarget { percent: Some(100), ..TrafficTarget::default() });
    }
    for target in traffic {
        let latest = target.revision().is_empty();
        target.latest_revision.get_or_insert(latest);
        target.percent.get_or_insert(0);
    }
}

/// Adds every rule the targets break.
pub(super) fn validate(traffic: &[TrafficTarget], owner: Owner, path: &Path, errors: &mut Vec<FieldError>) {
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, target) in traffic.iter().enumerate() {
        let path = path.index(index);
        validate_target(target, owner, &path, errors);
        if let Some(tag) = target.tag.as_deref().filter(|tag| !tag.is_empty()) {
            let path = path.field("tag");
            if !is_dns1035_label(tag) {
                errors.push(FieldError::invalid(path, &tag, DNS1035_LABEL));
            } else if let Some(first) = tags.get(tag) {
                let detail = format!("Multiple definitions for {tag:?}: traffic[{first}] has it too");
                errors.push(FieldError::invalid(path, &tag, detail));
            } else {
                tags.insert(tag, index);
            }
        }
    }
    let sum = traffic.iter().filter_map(|target| target.percent).fold(0_i64, i64::saturating_add);
    if sum != 100 {
        let detail = format!("Traffic targets sum to {sum}, want 100");
        errors.push(FieldError::invalid(path.clone(), &sum, detail));
    }
}

fn validate_target(target: &TrafficTarget, owner: Owner, path: &Path, errors: &mut Vec<FieldError>) {
    let (revision, configuration) = (path.field("revisionName"), path.field("configurationName"));
    let (has_revision, has_configuration) = (!target.revision().is_empty(), !target.configuration().is_empty());
    match owner {
        Owner::Service if has_configuration => {
            errors.push(FieldError::forbidden(configuration, "a Service has one Configuration, its own"));
        }
        Owner::Service => {}
        Owner::Route => {
            exactly_one((&revision, has_revision), (&configuration, has_configuration), errors);
        }
    }
    if let Some(latest) = target.latest_revision.filter(|&latest| latest != target.revision().is_empty()) {
        let detail = if latest { "expected false next to revisionName" } else { "expected true without revisionName" };
        errors.push(FieldError::invalid(path.field("latestRevision"), &latest, detail));
    }
    if let Some(percent) = target.percent.filter(|percent| !(0..=100).contains(percent)) {
        errors.push(FieldError::invalid(path.field("percent"), &percent, "expected 0 to 100"));
    }
    if target.url.is_some() {
        errors.push(FieldError::forbidden(path.field("url"), "it is only in the status"));
    }
}
