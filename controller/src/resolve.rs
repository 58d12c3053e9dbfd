//! From what a manifest names to the address events are posted to. Pure: lookups are done before.

use url::Url;
use weir_api::destination::{Addressable, Destination, KReference, ResolvedDestination};

use crate::tracker::{Lookup, Target};

/// A destination and what was found of the object it refers to.
#[derive(Clone, Debug)]
pub(crate) struct Looked<'a> {
    pub(crate) destination: &'a Destination,
    /// `None` for a destination that is a URI alone.
    pub(crate) found: Option<(Target, Lookup)>,
}

/// The object `destination` refers to, from an object in `namespace`.
pub(crate) fn target(destination: &Destination, namespace: &str) -> Option<Target> {
    destination.r#ref.as_ref().map(|reference| of_reference(reference, namespace))
}

/// The object `reference` names, from an object in `namespace`.
pub(crate) fn of_reference(reference: &KReference, namespace: &str) -> Target {
    Target {
        api_version: reference.api_version.clone().unwrap_or_default(),
        kind: reference.kind.clone(),
        namespace: reference.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
        name: reference.name.clone(),
    }
}

/// The address of a destination; an error says in plain words why there is none.
///
/// Source: resources.md 3.2. Of an Addressable, the address named by `ref.address`, else the first of
/// `status.addresses`, else `status.address`. CA certificates and audience of the destination win over the target's.
pub(crate) fn resolve(looked: &Looked<'_>, cluster_domain: &str) -> Result<ResolvedDestination, String> {
    let destination = looked.destination;
    let address = match &looked.found {
        None => Addressable { url: destination.uri.clone(), ..Addressable::default() },
        Some((target, lookup)) => {
            let wanted = destination.r#ref.as_ref().and_then(|reference| reference.address.as_deref());
            let https = destination.ca_certs.is_some();
            let mut address = address_of(target, lookup, wanted, https, cluster_domain)?;
            if let Some(relative) = destination.uri.as_deref().filter(|uri| !uri.is_empty()) {
                let base = address.url.take().unwrap_or_default();
                let joined = Url::parse(&base).and_then(|base| base.join(relative));
                let joined = joined.map_err(|error| format!("cannot resolve {relative:?} against {base}: {error}"))?;
                address.url = Some(joined.into());
            }
            address
        }
    };
    let text = address.url.unwrap_or_default();
    let url = Url::parse(&text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{text:?} is not an http or https URL"));
    }
    Ok(ResolvedDestination {
        url,
        ca_certs: destination.ca_certs.clone().or(address.ca_certs),
        audience: destination.audience.clone().or(address.audience),
    })
}

fn address_of(
    target: &Target,
    lookup: &Lookup,
    wanted: Option<&str>,
    https: bool,
    cluster_domain: &str,
) -> Result<Addressable, String> {
    let object = found(target, lookup)?;
    if target.kind == "Service" && target.api_version == "v1" {
        let scheme = if https { "https" } else { "http" };
        let url = format!("{scheme}://{}.{}.svc.{cluster_domain}", target.name, target.namespace);
        return Ok(Addressable { url: Some(url), ..Addressable::default() });
    }
    let status = &object.status;
    let address = match wanted {
        Some(name) => {
            let named = status.addresses.iter().find(|address| address.name.as_deref() == Some(name));
            named.ok_or_else(|| format!("{target} has no address named {name:?}"))?
        }
        None => {
            let address = status.addresses.first().or(status.address.as_ref());
            address.ok_or_else(|| format!("{target} has no address: it is not ready, or takes no events"))?
        }
    };
    match address.url.as_deref() {
        Some(url) if !url.is_empty() => Ok(address.clone()),
        _ => Err(format!("{target} has an address without a URL")),
    }
}

/// The object itself; an error says in plain words why there is none.
pub(crate) fn found<'a>(target: &Target, lookup: &'a Lookup) -> Result<&'a crate::tracker::Referent, String> {
    let Target { api_version, kind, namespace, name } = target;
    match lookup {
        Lookup::Found(object) => Ok(object),
        Lookup::Absent => Err(format!("there is no {kind} {name:?} in namespace {namespace:?}")),
        Lookup::NoSuchKind => Err(format!("the API serves no kind {kind} in {api_version}")),
        Lookup::Unavailable(reason) => Err(format!("cannot look up {target}: {reason}")),
    }
}

#[cfg(test)]
mod tests;
