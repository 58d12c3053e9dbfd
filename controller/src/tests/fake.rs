//! An API server small enough to read: list, watch, status, merge patch, finalizers, versions, and 410 on demand.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{Full, StreamBody};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use weir_api::admission::{Context, admit};

/// Plural, namespace, name.
type Key = (String, String, String);

/// The kinds served.
const KINDS: [(&str, &str); 5] = [
    ("brokers", "Broker"),
    ("triggers", "Trigger"),
    ("services", "Service"),
    ("configmaps", "ConfigMap"),
    ("pingsources", "PingSource"),
];

pub(crate) struct Fake {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    version: u64,
    uids: u64,
    objects: BTreeMap<Key, Value>,
    log: Vec<(u64, Key, &'static str, Value)>,
    /// Versions up to this one are no longer in the log; watches from before get 410 and the open ones end.
    compacted: u64,
    status_writes: BTreeMap<Key, usize>,
    /// Status writes still to be refused as conflicts.
    conflicts: usize,
    requests: usize,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), version: watch::Sender::new(0) })
    }

    pub(crate) fn client(self: &Arc<Self>) -> Client {
        let fake = Arc::clone(self);
        Client::new(
            tower::service_fn(move |request| {
                let fake = Arc::clone(&fake);
                async move { Ok::<_, Infallible>(fake.serve(request).await) }
            }),
            "default",
        )
    }

    /// Creates or updates an object through admission, as a person would; its UID.
    pub(crate) fn apply(&self, mut object: Value) -> String {
        let key = key_of(&object);
        let mut state = self.state.lock();
        let old = state.objects.get(&key).cloned();
        object["metadata"]["namespace"] = json!(key.1);
        object = admit(object, old.as_ref(), Context::default()).expect("admitted").object;
        match &old {
            Some(old) => {
                for field in ["uid", "finalizers", "generation"] {
                    object["metadata"][field] = old["metadata"][field].clone();
                }
                if old["spec"] != object["spec"] {
                    object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
                }
                if object.get("status").is_none() {
                    object["status"] = old["status"].clone();
                }
            }
            None => {
                state.uids += 1;
                object["metadata"]["uid"] = json!(format!("uid-{}", state.uids));
                object["metadata"]["generation"] = json!(1);
            }
        }
        let uid = object["metadata"]["uid"].as_str().expect("uid").to_owned();
        self.store(&mut state, key, if old.is_some() { "MODIFIED" } else { "ADDED" }, object);
        uid
    }

    pub(crate) fn delete(&self, plural: &str, name: &str) {
        let key = (plural.to_owned(), "team".to_owned(), name.to_owned());
        let mut state = self.state.lock();
        let mut object = state.objects.get(&key).expect("there").clone();
        if object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.store(&mut state, key, "DELETED", object);
        } else {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            self.store(&mut state, key, "MODIFIED", object);
        }
    }

    pub(crate) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.state.lock().objects.get(&(plural.to_owned(), "team".to_owned(), name.to_owned())).cloned()
    }

    pub(crate) fn status_writes(&self, plural: &str, name: &str) -> usize {
        let key = (plural.to_owned(), "team".to_owned(), name.to_owned());
        self.state.lock().status_writes.get(&key).copied().unwrap_or_default()
    }

    /// Refuses the next `times` status writes as if somebody else had been quicker.
    pub(crate) fn refuse_status_writes(&self, times: usize) {
        self.state.lock().conflicts = times;
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().requests
    }

    /// Forgets the log and ends every watch; runs `unseen` in between, so that no watch can tell of it.
    pub(crate) fn compact(&self, unseen: impl FnOnce(&Self)) {
        {
            let mut state = self.state.lock();
            state.compacted = u64::MAX;
        }
        self.version.send_modify(|_| {});
        unseen(self);
        let mut state = self.state.lock();
        state.version += 1;
        state.compacted = state.version;
        state.log.clear();
        self.version.send_replace(state.version);
    }

    /// Waits until `condition` holds of what is stored.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let mut version = self.version.subscribe();
        let holds = version.wait_for(|_| condition(self));
        let waited = tokio::time::timeout(std::time::Duration::from_secs(10), holds).await;
        if waited.is_err() {
            panic!("not in time: {what}\n{:#?}", self.state.lock().objects);
        }
    }

    fn store(&self, state: &mut State, key: Key, op: &'static str, mut object: Value) {
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        if op == "DELETED" {
            state.objects.remove(&key);
        } else {
            state.objects.insert(key.clone(), object.clone());
        }
        state.log.push((state.version, key, op, object));
        self.version.send_replace(state.version);
    }

    async fn serve(self: Arc<Self>, request: Request<Body>) -> Response<BoxBody<Bytes, Infallible>> {
        self.state.lock().requests += 1;
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("body");
        let path: Vec<&str> = parts.uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let path = &path[if path[0] == "api" { 2 } else { 3 }..];
        let (namespace, path) = match path {
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let plural = path[0].to_owned();
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == plural) else {
            return failure(StatusCode::NOT_FOUND, "NotFound");
        };
        let key = |name: &str| (plural.clone(), namespace.clone().unwrap_or_default(), name.to_owned());
        let query = parts.uri.query().unwrap_or_default();
        match (parts.method, path) {
            (Method::GET, [_]) if query.contains("watch=true") => self.watch(plural, namespace, query),
            (Method::GET, [_]) => answer(&self.list(&plural, namespace.as_deref(), kind)),
            (Method::PUT, [_, _, "status"]) if self.conflicts() => failure(StatusCode::CONFLICT, "Conflict"),
            (Method::PUT, [_, name, "status"]) => self.change(key(name), &body, |object, wanted, state, key| {
                object["status"] = wanted["status"].clone();
                *state.status_writes.entry(key.clone()).or_default() += 1;
            }),
            (Method::PATCH, [_, name]) => self.change(key(name), &body, |object, wanted, _, _| {
                object["metadata"]["finalizers"] = wanted["metadata"]["finalizers"].clone();
            }),
            (method, path) => panic!("the controller has no business with {method} {path:?}"),
        }
    }

    fn conflicts(&self) -> bool {
        let mut state = self.state.lock();
        let refused = state.conflicts > 0;
        state.conflicts = state.conflicts.saturating_sub(1);
        refused
    }

    fn list(&self, plural: &str, namespace: Option<&str>, kind: &str) -> Value {
        let state = self.state.lock();
        let wanted = |key: &Key| key.0 == plural && namespace.is_none_or(|namespace| key.1 == namespace);
        let items: Vec<&Value> =
            state.objects.iter().filter(|(key, _)| wanted(key)).map(|(_, object)| object).collect();
        let metadata = json!({"resourceVersion": state.version.to_string()});
        json!({"apiVersion": "v1", "kind": format!("{kind}List"), "metadata": metadata, "items": items})
    }

    fn change(
        &self,
        key: Key,
        body: &[u8],
        change: impl FnOnce(&mut Value, &Value, &mut State, &Key),
    ) -> Response<BoxBody<Bytes, Infallible>> {
        let wanted: Value = serde_json::from_slice(body).expect("JSON");
        let mut state = self.state.lock();
        let Some(mut object) = state.objects.get(&key).cloned() else {
            return failure(StatusCode::NOT_FOUND, "NotFound");
        };
        if wanted["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return failure(StatusCode::CONFLICT, "Conflict");
        }
        change(&mut object, &wanted, &mut state, &key);
        let gone = object["metadata"]["deletionTimestamp"].is_string()
            && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        self.store(&mut state, key, if gone { "DELETED" } else { "MODIFIED" }, object.clone());
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        answer(&object)
    }

    fn watch(
        self: Arc<Self>,
        plural: String,
        namespace: Option<String>,
        query: &str,
    ) -> Response<BoxBody<Bytes, Infallible>> {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).expect("resourceVersion");
        let from: u64 = from.parse().expect("number");
        let version = self.version.subscribe();
        let lines = stream::unfold((self, version, Some(from)), move |(fake, mut version, from)| {
            let (plural, namespace) = (plural.clone(), namespace.clone());
            async move {
                let from = from?;
                loop {
                    version.borrow_and_update();
                    let (lines, next) = fake.since(from, &plural, namespace.as_deref());
                    if !lines.is_empty() {
                        return Some((Ok::<_, Infallible>(lines), (fake, version, next)));
                    }
                    version.changed().await.ok()?;
                }
            }
        });
        let body = StreamBody::new(lines.map(|lines| lines.map(|lines| http_body::Frame::data(Bytes::from(lines)))));
        Response::new(BoxBody::new(body))
    }

    /// The events after `from`, and where to go on; `None` after an error event.
    fn since(&self, from: u64, plural: &str, namespace: Option<&str>) -> (String, Option<u64>) {
        let state = self.state.lock();
        if from < state.compacted {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
                "message": "too old resource version", "code": 410});
            return (format!("{}\n", json!({"type": "ERROR", "object": status})), None);
        }
        let wanted = |key: &Key| key.0 == plural && namespace.is_none_or(|namespace| key.1 == namespace);
        let news = state.log.iter().filter(|(version, key, ..)| *version > from && wanted(key));
        let lines = news.map(|(_, _, op, object)| format!("{}\n", json!({"type": op, "object": object}))).collect();
        (lines, Some(state.version))
    }
}

fn key_of(object: &Value) -> Key {
    let kind = object["kind"].as_str().expect("kind");
    let (plural, _) = KINDS.iter().find(|(_, known)| *known == kind).expect("known kind");
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("team");
    ((*plural).to_owned(), namespace.to_owned(), object["metadata"]["name"].as_str().expect("name").to_owned())
}

fn answer(object: &Value) -> Response<BoxBody<Bytes, Infallible>> {
    Response::new(BoxBody::new(Full::from(object.to_string())))
}

fn failure(code: StatusCode, reason: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason,
        "code": code.as_u16()});
    let mut response = answer(&status);
    *response.status_mut() = code;
    response
}
