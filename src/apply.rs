//! Makes objects as manifests say, by server-side apply: for `weir apply` and `weir run -f`.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::client::{Answer, Client, JSON, Kind, Kinds, Query, RequestError};
use crate::failure::{Exit, Failure, Outcome};
use crate::manifest::{self, Document};

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was not there.
    Created,
    /// It was, and differs now.
    Configured,
    /// It was, and is the same.
    Unchanged,
}

/// The answer to one apply.
#[derive(Debug)]
pub(crate) struct Report {
    /// `trigger.eventing.knative.dev/t`
    pub(crate) name: String,
    /// What became of it.
    pub(crate) outcome: Applied,
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it lives.
    pub(crate) path: String,
    /// What the API has to say beside it.
    pub(crate) warnings: Vec<String>,
    /// As the server has it now.
    pub(crate) object: Value,
}

/// Applies documents in the name of one field manager.
pub(crate) struct Applier<'a> {
    client: &'a Client,
    kinds: Kinds,
    manager: &'static str,
    namespace: &'a str,
}

impl<'a> Applier<'a> {
    /// Objects without a namespace go to `namespace`.
    pub(crate) async fn new(client: &'a Client, manager: &'static str, namespace: &'a str) -> Outcome<Self> {
        Ok(Self { client, kinds: Kinds::discover(client).await?, manager, namespace })
    }

    /// Asks the server about every document without changing anything; `Err` tells of all that it refuses.
    pub(crate) async fn check(&self, documents: &[Document]) -> Outcome {
        let namespaces: Vec<_> = documents.iter().filter(|it| it.kind() == "Namespace").map(Document::name).collect();
        let mut problems = Vec::new();
        for document in documents {
            let Some(kind) = self.kinds.of(document.api_version(), document.kind()) else {
                problems.push(self.unknown(document));
                continue;
            };
            // A namespace that the same manifests create is not there yet: its objects are checked in ours.
            let declared = document.namespace().unwrap_or(self.namespace);
            let elsewhere = namespaces.contains(&declared)
                && self
                    .client
                    .get(&format!("/api/v1/namespaces/{declared}"))
                    .await
                    .is_err_and(|error| error.is_not_found());
            let namespace = if elsewhere { self.namespace } else { declared };
            let mut value = document.value.clone();
            if elsewhere {
                value["metadata"]["namespace"] = namespace.into();
            }
            match self.patch(kind, namespace, document.name(), &value, true).await {
                Ok(_) => {}
                Err(RequestError::Refused(status)) if status.code != 409 => problems.extend(document.blame(&status)),
                Err(error) => return Err(error.into()),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(manifest::refuse(&problems)) }
    }

    fn unknown(&self, document: &Document) -> manifest::Problem {
        let (version, kind) = (document.api_version(), document.kind());
        let like = self.kinds.like(kind);
        if like.is_empty() {
            return document
                .problem("kind", format!("unknown kind {kind:?} of {version}: `weir crds` lists the types of Weir"));
        }
        document.problem("apiVersion", format!("no {kind} in {version:?}: there is {}", like.join(", ")))
    }

    /// Applies one document.
    pub(crate) async fn apply(&self, document: &Document) -> Outcome<Report> {
        self.put(document, false).await
    }

    /// Says what applying would do.
    pub(crate) async fn preview(&self, document: &Document) -> Outcome<Report> {
        self.put(document, true).await
    }

    async fn put(&self, document: &Document, dry_run: bool) -> Outcome<Report> {
        let kind = self.kinds.of(document.api_version(), document.kind());
        let kind = kind.ok_or_else(|| manifest::refuse(&[self.unknown(document)]))?;
        let namespace = document.namespace().unwrap_or(self.namespace);
        let path = kind.object_path(namespace, document.name());
        let before = match self.client.get(&path).await {
            Ok(object) => object["metadata"]["resourceVersion"].as_str().map(str::to_owned),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let answer = self.patch(kind, namespace, document.name(), &document.value, dry_run).await;
        let Answer { code, warnings, value: object } = answer.map_err(|error| match error {
            RequestError::Refused(status) if matches!(status.code, 400 | 422) => {
                let problems = document.blame(&status);
                Failure::text(Exit::Usage, problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            error => Failure::from(error).context(format!("cannot apply {}", kind.object(document.name()))),
        })?;
        let outcome = match before {
            _ if code == StatusCode::CREATED => Applied::Created,
            Some(version) if object["metadata"]["resourceVersion"] == version.as_str() => Applied::Unchanged,
            Some(_) => Applied::Configured,
            None => Applied::Created,
        };
        Ok(Report { name: kind.object(document.name()), outcome, kind: kind.clone(), path, warnings, object })
    }

    /// Server-side apply. It takes fields over from other managers, as `kubectl apply` does: the manifest is what
    /// the person wants.
    async fn patch(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        value: &Value,
        dry_run: bool,
    ) -> Result<Answer, RequestError> {
        let query =
            Query::default().with("fieldManager", self.manager).with("force", "true").with("fieldValidation", "Strict");
        let query = query.with_some("dryRun", dry_run.then_some("All"));
        let mut value = value.clone();
        // What `get -o yaml` prints can be applied: bookkeeping is the server's.
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"] {
                metadata.remove(field);
            }
        }
        let body = value.to_string().into_bytes();
        let path = query.on(&kind.object_path(namespace, name));
        self.client.call(Method::PATCH, &path, JSON, Some(("application/apply-patch+yaml", body))).await
    }
}
