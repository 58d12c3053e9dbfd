//! Requests to the data plane's administration, which answers beside the API.

use bytes::Bytes;
use futures_util::Stream;
use http::Method;
use serde_json::Value;
use weir_broker::admin::PREFIX;

use super::path::segment;
use super::{Client, JSON, Query, RequestError};

impl Client {
    /// One page of dead letters.
    pub(crate) async fn dead_letters(&self, query: Query) -> Result<Value, RequestError> {
        self.get(&query.on(&format!("{PREFIX}/deadletters"))).await
    }

    /// One dead letter with what it holds.
    pub(crate) async fn dead_letter(&self, id: &str) -> Result<Value, RequestError> {
        self.get(&format!("{PREFIX}/deadletters/{}", segment(id))).await
    }

    /// Makes one attempt to deliver a dead letter; what came of it.
    pub(crate) async fn redrive(&self, id: &str) -> Result<Value, RequestError> {
        let path = format!("{PREFIX}/deadletters/{}/redrive", segment(id));
        Ok(self.call(Method::POST, &path, JSON, None).await?.value)
    }

    /// Removes a dead letter for good.
    pub(crate) async fn discard(&self, id: &str) -> Result<(), RequestError> {
        self.send(Method::DELETE, &format!("{PREFIX}/deadletters/{}", segment(id)), JSON, None).await.map(drop)
    }

    /// Where events with this `id` went.
    pub(crate) async fn explain(
        &self,
        (namespace, broker): (&str, &str),
        id: &str,
        source: Option<&str>,
    ) -> Result<Value, RequestError> {
        let path = format!("{}/events/{}", of_broker(namespace, broker), segment(id));
        self.get(&Query::default().with_some("source", source).on(&path)).await
    }

    /// What a Broker stores, one JSON per line.
    pub(crate) async fn tail(
        &self,
        (namespace, broker): (&str, &str),
        since: Option<&str>,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Bytes, RequestError>> + use<>, RequestError> {
        let query = Query::default().with_some("since", since).with("follow", if follow { "true" } else { "false" });
        self.lines(&query.on(&format!("{}/tail", of_broker(namespace, broker))), "application/x-ndjson").await
    }
}

fn of_broker(namespace: &str, name: &str) -> String {
    format!("{PREFIX}/brokers/{}/{}", segment(namespace), segment(name))
}
