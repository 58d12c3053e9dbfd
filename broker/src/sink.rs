//! A Broker as a sink: where replies, and whatever else is in this process, hand their events to.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use weir_api::Event;
use weir_api::resources::ObjectName;
use weir_api::sink::{Sink, SinkError};
use weir_channels::AppendError;

use crate::logs::{Found, Log, Logs};
use crate::stamp;

/// Appends to one Broker's log as its ingress would: one TTL less, a new arrival time.
pub(crate) struct BrokerSink {
    log: Arc<Log>,
    max_ttl: i32,
}

impl BrokerSink {
    pub(crate) fn new(log: Arc<Log>, max_ttl: i32) -> Self {
        Self { log, max_ttl }
    }
}

#[async_trait]
impl Sink for BrokerSink {
    async fn send(&self, mut event: Event) -> Result<(), SinkError> {
        // The codes the ingress would answer with.
        stamp::enter(&mut event, self.max_ttl, Timestamp::now()).map_err(|_| SinkError::Refused { status: 400 })?;
        match self.log.channel.append(event).await {
            Ok(_) => Ok(()),
            Err(AppendError::TooLarge { .. }) => Err(SinkError::Refused { status: 413 }),
            Err(error @ (AppendError::Overloaded { .. } | AppendError::Full | AppendError::Unavailable(_))) => {
                Err(SinkError::Unavailable { reason: error.to_string() })
            }
        }
    }
}

/// A Broker by name, whether or not it is there yet.
pub(crate) struct NamedBrokerSink {
    logs: Logs,
    broker: ObjectName,
    max_ttl: i32,
}

impl NamedBrokerSink {
    pub(crate) fn new(logs: Logs, broker: ObjectName, max_ttl: i32) -> Self {
        Self { logs, broker, max_ttl }
    }
}

#[async_trait]
impl Sink for NamedBrokerSink {
    async fn send(&self, event: Event) -> Result<(), SinkError> {
        match self.logs.find(&self.broker.to_string()) {
            Found::Open(log) => BrokerSink::new(log, self.max_ttl).send(event).await,
            Found::NotOpen => Err(SinkError::Unavailable { reason: format!("broker {} is starting", self.broker) }),
            Found::Unknown => Err(SinkError::Unavailable { reason: format!("no broker {}", self.broker) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_api::event::Value;

    use super::*;
    use crate::testing::{MemoryLog, World, event};

    #[tokio::test]
    async fn replies_enter_with_one_ttl_less_until_it_is_used_up() {
        let world = World::new(&Arc::new(MemoryLog::default())).with_broker().await;
        let Found::Open(log) = world.logs.find("ns/b") else { panic!("not open") };
        let sink = BrokerSink::new(log, 255);
        let mut reply = event("1", "t");
        let mut rounds = 0;
        reply.set_extension(stamp::TTL, 3);
        while sink.send(reply.clone()).await.is_ok() {
            reply = world.log.events().pop().expect("stored");
            rounds += 1;
        }
        assert_eq!(rounds, 2);
        assert_eq!(reply.extension(stamp::TTL), Some(&Value::Integer(1)));
        assert!(matches!(sink.send(reply).await, Err(SinkError::Refused { status: 400 })));

        world.log.fail_appends(Some(|| AppendError::Full));
        assert!(matches!(sink.send(event("2", "t")).await, Err(SinkError::Unavailable { .. })));
    }
}
