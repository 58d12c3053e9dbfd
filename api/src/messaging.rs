//! The kinds of `messaging.knative.dev`.

mod channel;
mod channelable;
mod in_memory_channel;
pub mod kafka_channel;
mod nats_jetstream_channel;
mod subscription;
mod template;

pub use channel::{Channel, ChannelSpec, ChannelStatus};
pub use channelable::{
    CHANNEL_CONTROLLERS, ChannelableSpec, ChannelableStatus, SCOPE_ANNOTATION, SUBSCRIBABLE_ANNOTATION, Subscriber,
    SubscriberAuth, SubscriberStatus,
};
pub use in_memory_channel::{InMemoryChannel, InMemoryChannelSpec};
pub use kafka_channel::{KafkaChannel, KafkaChannelSpec};
pub use nats_jetstream_channel::{
    ConsumerConfigTemplate, DeploymentSpecTemplate, NatsJetStreamChannel, NatsJetStreamChannelSpec, Stream,
    StreamConfig, StreamPlacement, StreamSource, Wait,
};
pub use subscription::{PhysicalSubscription, Subscription, SubscriptionSpec, SubscriptionStatus};
pub use template::ChannelTemplateSpec;

#[cfg(test)]
mod tests;
