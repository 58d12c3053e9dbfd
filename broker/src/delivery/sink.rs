//! Any URL as a [`Sink`], for what sends events outside a Trigger: sources, redrive, the command line.

use async_trait::async_trait;
use weir_api::Event;
use weir_api::delivery::Delivery;
use weir_api::sink::{Sink, SinkError};

use super::exchange::Expect;
use super::route::Target;
use super::{Post, Unsent, post};

/// Posts events to one URL, in binary mode, with the retries it was made with. What the answer carries is ignored.
#[derive(Debug)]
pub struct HttpSink {
    pub(super) target: Target,
    pub(super) delivery: Delivery,
}

#[async_trait]
impl Sink for HttpSink {
    async fn send(&self, event: Event) -> Result<(), SinkError> {
        let request = Post { target: &self.target, event: &event, expect: Expect::Anything, replies: None };
        match post(&request, &self.delivery, &(), |_, _, _, _| {}).await {
            Ok(_) => Ok(()),
            Err(Unsent::Failed(failure, _)) if !failure.retriable => Err(SinkError::Refused { status: failure.code }),
            Err(Unsent::Failed(failure, _)) => Err(SinkError::Unavailable { reason: failure.detail }),
            // Nobody does here.
            Err(Unsent::Interrupted) => Err(SinkError::Unavailable { reason: "interrupted".to_owned() }),
        }
    }
}
