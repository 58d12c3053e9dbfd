//! Paths and query strings of API requests.

use url::form_urlencoded;

use super::Kind;

/// A query string, built pair by pair.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(String);

impl Query {
    /// Adds `name=value`.
    #[must_use]
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        Self(form_urlencoded::Serializer::new(self.0).append_pair(name, value).finish())
    }

    /// Adds `name=value` if there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// `path` with this query.
    pub(crate) fn on(&self, path: &str) -> String {
        if self.0.is_empty() { path.to_owned() } else { format!("{path}?{}", self.0) }
    }
}

impl Kind {
    /// Where objects of this kind are listed: of `namespace`, or all of them.
    pub(crate) fn list_path(&self, namespace: Option<&str>) -> String {
        let base = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{base}/namespaces/{}/{}", segment(namespace), self.plural),
            None => format!("{base}/{}", self.plural),
        }
    }

    /// Where one object of this kind lives.
    pub(crate) fn object_path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.list_path(Some(namespace)), segment(name))
    }
}

/// A path segment: a name that is no valid one must not become another path.
pub(crate) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_kubernetes() {
        let broker = Kind { namespaced: true, ..Kind::named("eventing.knative.dev", "v1", "Broker", "brokers") };
        assert_eq!(broker.object_path("ns", "b"), "/apis/eventing.knative.dev/v1/namespaces/ns/brokers/b");
        assert_eq!(broker.list_path(None), "/apis/eventing.knative.dev/v1/brokers");
        let namespace = Kind::named("", "v1", "Namespace", "namespaces");
        assert_eq!(namespace.object_path("ignored", "a/b"), "/api/v1/namespaces/a%2Fb");
        let query = Query::default().with("labelSelector", "a in (b,c)").with_some("x", None);
        assert_eq!(query.on("/p"), "/p?labelSelector=a+in+%28b%2Cc%29");
        assert_eq!(Query::default().on("/p"), "/p");
    }
}
