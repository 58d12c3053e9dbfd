//! WATCH: one JSON object per line for every change, from a revision on, without gap or repetition.
//!
//! A watch holds no queue. It keeps the revision it has passed, waits until its resource changes, and reads what is new
//! from the mirror's recent changes, or from the log if it has fallen that far behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderValue, header};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use weir_api::legacy::Legacy;

use super::Inner;
use super::failure::Failure;
use super::list::parse_revision;
use super::request::{Older, Params, Target};
use super::selector::Selector;
use super::store::{Entry, Object, Op, ResourceId, Revision, Since};
use super::view::{Form, View};

/// How often an idle watch tells how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lasts if the client does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// Longest watch a client can ask for.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Lines that are sent together, at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// One running watch.
struct Watch {
    inner: Arc<Inner>,
    /// Where the kind is in the registry.
    kind: usize,
    version: String,
    /// The older form that is shown, and where that is in the registry.
    older: Option<(&'static Legacy, usize)>,
    resource: ResourceId,
    namespace: Option<String>,
    form: Form,
    selector: Selector,
    changed: watch::Receiver<Revision>,
    /// The revision up to which everything has been sent or is in `pending`.
    passed: Revision,
    pending: VecDeque<Event>,
    bookmarks: Option<Interval>,
    deadline: Instant,
    /// Ends all watches when the server stops.
    shutdown: CancellationToken,
    ended: bool,
    /// Whether the columns of a table have been described.
    described: bool,
}

/// What becomes one line.
enum Event {
    Object(&'static str, Arc<Object>),
    /// Everything up to the revision has been sent; the flag marks the end of the initial objects.
    Bookmark(Revision, bool),
    Error(Box<Failure>),
}

impl Inner {
    /// Starts the watch a collection request asks for.
    pub(crate) async fn watch(self: &Arc<Self>, view: &View<'_>, params: &Params) -> Result<Response, Failure> {
        let target = view.target;
        let selector = Selector::of(&target, params)?;
        let asked = parse_revision(&params.resource_version)?;
        match asked {
            // One that was never handed out is told in the stream.
            Some(asked) => drop(self.store.reached(asked).await),
            None if params.resource_version.is_empty() => self.store.fresh().await,
            None => {}
        }
        let initial = match params.send_initial_events {
            Some(true) if params.resource_version_match != "NotOlderThan" => {
                return Err(Failure::invalid_options(
                    "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents \
                     requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
            Some(initial) => initial,
            None => asked.is_none(),
        };
        let timeout = params.timeout_seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs).min(LONGEST_TIMEOUT);
        let resource = target.kind.resource;
        let mut bookmarks = tokio::time::interval(BOOKMARK_EVERY);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        bookmarks.reset();
        let mut watch = Watch {
            inner: Arc::clone(self),
            kind: self.registry.index_of(target.kind),
            older: target.older.map(|older| (older.legacy, self.registry.index_of(older.kind))),
            version: target.version.to_owned(),
            resource,
            namespace: target.namespace.map(str::to_owned),
            form: view.form,
            selector,
            changed: self.store.watch(resource),
            passed: 0,
            pending: VecDeque::new(),
            bookmarks: params.allow_bookmarks.then_some(bookmarks),
            deadline: Instant::now() + timeout,
            shutdown: self.shutdown.clone(),
            ended: false,
            described: false,
        };
        watch.start(asked, initial, params.send_initial_events == Some(true));
        let lines = stream::unfold(watch, |mut watch| async move {
            let chunk = watch.next().await?;
            Some((Ok::<_, std::convert::Infallible>(chunk), watch))
        });
        let mut response = Response::new(Body::from_stream(lines));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

impl Watch {
    /// Finds the starting point. A revision that cannot be served is told in the stream, with code 410: clients list
    /// again on that, while several retry an HTTP error for ever.
    fn start(&mut self, asked: Option<Revision>, initial: bool, mark_end: bool) {
        let current = self.inner.store.revision();
        if let Some(asked) = asked
            && (asked > current || (!initial && asked < self.inner.store.compacted()))
        {
            return self.fail(Failure::expired(asked, current));
        }
        match asked {
            Some(asked) if !initial => self.passed = asked,
            None if !initial => self.passed = current,
            _ => {
                let listing =
                    self.inner.store.list(self.resource, self.namespace.as_deref(), None, usize::MAX, |object| {
                        self.selector.matches(object)
                    });
                self.passed = listing.revision;
                self.pending.extend(listing.items.into_iter().map(|object| Event::Object("ADDED", object)));
                if mark_end {
                    self.pending.push_back(Event::Bookmark(self.passed, true));
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.pending.push_back(Event::Error(Box::new(failure)));
        self.ended = true;
    }

    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.pending.is_empty() {
                return Some(self.flush());
            }
            if self.ended {
                return None;
            }
            // Before looking, so that a change in between wakes the wait below.
            self.changed.mark_unchanged();
            self.advance().await;
            if !self.pending.is_empty() || self.ended {
                continue;
            }
            tokio::select! {
                changed = self.changed.changed() => self.ended = changed.is_err(),
                () = tick(self.bookmarks.as_mut()) => self.bookmark(),
                () = tokio::time::sleep_until(self.deadline) => {
                    if self.bookmarks.is_some() {
                        self.bookmark();
                    }
                    self.ended = true;
                }
                () = self.shutdown.cancelled() => self.ended = true,
            }
        }
    }

    fn bookmark(&mut self) {
        self.pending.push_back(Event::Bookmark(self.passed, false));
    }

    /// Queues what is new, a bounded part of it if it comes from the log.
    async fn advance(&mut self) {
        match self.inner.store.since(self.resource, self.passed) {
            Since::Recent { entries, revision } => {
                self.queue(&entries);
                self.passed = revision;
            }
            Since::Older { floor } => {
                let compacted = self.inner.store.compacted();
                if self.passed < compacted {
                    return self.fail(Failure::expired(self.passed, compacted));
                }
                match self.inner.store.replay(self.resource, self.passed, floor).await {
                    // Trimmed while it was read: there may be a gap.
                    Ok(_) if self.passed < self.inner.store.compacted() => {
                        self.fail(Failure::expired(self.passed, self.inner.store.compacted()));
                    }
                    Ok((entries, reached)) => {
                        self.queue(&entries);
                        self.passed = reached;
                        if self.pending.is_empty() {
                            Box::pin(self.advance()).await;
                        }
                    }
                    Err(error) => self.fail(Failure::internal(error)),
                }
            }
        }
    }

    fn queue(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries {
            let event = self.event(entry);
            self.pending.extend(event);
        }
    }

    /// What a change means for this watch: an object that starts to match appears, one that stops disappears.
    fn event(&self, entry: &Entry) -> Option<Event> {
        let key = &entry.object.key;
        if self.namespace.as_deref().is_some_and(|namespace| namespace != key.namespace.as_ref()) {
            return None;
        }
        let was = entry.was.as_ref().is_some_and(|was| self.selector.matches_marks(key, was));
        let is = entry.op != Op::Delete && self.selector.matches(&entry.object);
        let ty = match (was, is) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some(Event::Object(ty, Arc::clone(&entry.object)))
    }

    /// Turns queued events into lines.
    fn flush(&mut self) -> Bytes {
        let (inner, version) = (Arc::clone(&self.inner), self.version.clone());
        let kinds = inner.registry.kinds();
        let kind = &kinds[self.kind];
        let older = self.older.map(|(legacy, index)| Older { legacy, kind: &kinds[index] });
        let target = Target { kind, version: &version, older, namespace: None, name: None, subresource: None };
        let view = View { target, form: self.form };
        let mut lines = BytesMut::new();
        while let Some(event) = self.pending.pop_front() {
            let (ty, object) = match event {
                Event::Object(ty, object) => {
                    let head = !std::mem::replace(&mut self.described, true);
                    (ty, view.render_change(&object, head))
                }
                Event::Bookmark(revision, end) => {
                    let (api_version, kind) = target.shown_as();
                    let mut bookmark = json!({
                        "kind": kind,
                        "apiVersion": api_version,
                        "metadata": {"resourceVersion": revision.to_string()},
                    });
                    if end {
                        bookmark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                    }
                    ("BOOKMARK", view.render_event(&bookmark, false))
                }
                Event::Error(failure) => ("ERROR", Bytes::from(failure.status().to_string())),
            };
            lines.extend_from_slice(format!(r#"{{"type":"{ty}","object":"#).as_bytes());
            lines.extend_from_slice(&object);
            lines.extend_from_slice(b"}\n");
            if lines.len() >= CHUNK_BYTES {
                break;
            }
        }
        lines.freeze()
    }
}

/// The next tick, or never.
async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
