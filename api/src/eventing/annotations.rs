//! What Weir adds to Brokers and Triggers, as annotations: their names, their values, their defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::delivery::parse_iso8601;
use crate::resources::{Order, Start};
use crate::validation::{FieldError, Path};

/// Trigger: `ordered` delivers events of one key one at a time, in log order; `unordered` (the default) promises
/// nothing and is faster.
pub const DELIVERY_ORDER: &str = "weir.dev/delivery-order";
/// Trigger: Knative's Kafka Broker has the same choice under this name; ours wins where both are set.
pub const KAFKA_DELIVERY_ORDER: &str = "kafka.eventing.knative.dev/delivery.order";
/// Trigger: with `ordered`, the attribute whose value is the key of events without `partitionkey`.
pub const ORDERING_KEY: &str = "weir.dev/ordering-key";
/// Trigger: most deliveries in flight at once, 1 or more.
pub const MAX_IN_FLIGHT: &str = "weir.dev/max-in-flight";
/// Trigger: `true` holds deliveries while the log keeps what arrives.
pub const PAUSED: &str = "weir.dev/paused";
/// Trigger: where a new one begins: `now` (the default), `earliest` or an RFC 3339 time.
pub const START: &str = "weir.dev/start";
/// Broker: when an event counts as stored: `fsync` (the default) survives power loss, `os` only a crash of the process.
pub const DURABILITY: &str = "weir.dev/durability";
/// Broker: how long events nobody has settled are kept, as an ISO 8601 duration (`P7D`).
pub const RETENTION: &str = "weir.dev/retention";
/// Broker: how many bytes the log may keep.
pub const RETENTION_BYTES: &str = "weir.dev/retention-bytes";
/// Broker: drops an event whose `source` and `id` were seen within this ISO 8601 duration; `off` (the default) does not.
pub const DEDUPE: &str = "weir.dev/dedupe";

/// Broker status annotation: the channel backend that keeps the log, once decided. Never changes after that.
pub const CHANNEL_BACKEND: &str = "weir.dev/channel-backend";

type Annotations = BTreeMap<String, String>;

/// What a Trigger's annotations ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerOptions {
    /// From [`DELIVERY_ORDER`] and [`ORDERING_KEY`].
    pub order: Order,
    /// From [`MAX_IN_FLIGHT`].
    pub max_in_flight: Option<u32>,
    /// From [`PAUSED`].
    pub paused: bool,
    /// From [`START`].
    pub start: Start,
}

impl TriggerOptions {
    /// Reads the annotations; adds every rule they break, and takes the default there.
    pub fn read(annotations: &Annotations, errors: &mut Vec<FieldError>) -> Self {
        let mut read = Reader { annotations, errors };
        let order = [DELIVERY_ORDER, KAFKA_DELIVERY_ORDER].into_iter().filter_map(|name| {
            read.parsed(name, "expected ordered or unordered", |text| match text {
                "ordered" => Some(true),
                "unordered" => Some(false),
                _ => None,
            })
        });
        // Both are read, so that an invalid value is refused also where the other one wins.
        let ordered = order.collect::<Vec<_>>().first().copied().unwrap_or(false);
        let attribute =
            read.parsed(ORDERING_KEY, ATTRIBUTE_NAME, |text| is_attribute_name(text).then(|| text.to_owned()));
        Self {
            order: if ordered { Order::ByKey { attribute } } else { Order::Unordered },
            max_in_flight: read.parsed(MAX_IN_FLIGHT, "expected a whole number of 1 or more", |text| {
                text.parse().ok().filter(|&limit| limit > 0)
            }),
            paused: read.parsed(PAUSED, "expected true or false", |text| text.parse().ok()).unwrap_or_default(),
            start: read
                .parsed(START, "expected now, earliest or a time such as 2026-01-31T12:00:00Z", Start::parse)
                .unwrap_or_default(),
        }
    }
}

/// What a Broker's annotations ask of its log. `None` leaves it to the backend's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// From [`DURABILITY`].
    pub durability: Durability,
    /// From [`RETENTION`].
    pub retention: Option<Duration>,
    /// From [`RETENTION_BYTES`].
    pub retention_bytes: Option<u64>,
    /// From [`DEDUPE`].
    pub dedupe: Option<Duration>,
}

/// When an event counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once the disk has confirmed it.
    #[default]
    Fsync,
    /// Once the operating system has it.
    Os,
}

impl LogOptions {
    /// Reads the annotations; adds every rule they break, and takes the default there.
    pub fn read(annotations: &Annotations, errors: &mut Vec<FieldError>) -> Self {
        let mut read = Reader { annotations, errors };
        let within = |text: &str, most: Duration| {
            parse_iso8601(text).ok().filter(|duration| (Duration::from_secs(1)..=most).contains(duration))
        };
        let dedupe = read.parsed(DEDUPE, "expected off or an ISO 8601 duration from PT1S to P1D", |text| match text {
            "off" => Some(None),
            window => within(window, DAY).map(Some),
        });
        Self {
            durability: read
                .parsed(DURABILITY, "expected fsync or os", |text| match text {
                    "fsync" => Some(Durability::Fsync),
                    "os" => Some(Durability::Os),
                    _ => None,
                })
                .unwrap_or_default(),
            retention: read.parsed(RETENTION, "expected an ISO 8601 duration from PT1S to P36500D", |text| {
                within(text, DAY * 36_500)
            }),
            retention_bytes: read.parsed(RETENTION_BYTES, "expected a whole number of bytes of 1 or more", |text| {
                text.parse().ok().filter(|&bytes| bytes > 0)
            }),
            dedupe: dedupe.flatten(),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Reader<'a> {
    annotations: &'a Annotations,
    errors: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    fn parsed<T>(&mut self, name: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.annotations.get(name)?;
        let parsed = parse(text);
        if parsed.is_none() {
            self.errors.push(FieldError::invalid(Path::annotation(name), text, expected));
        }
        parsed
    }
}

/// What an attribute name has to look like, in Knative's words.
pub(super) const ATTRIBUTE_NAME: &str =
    "Attribute name must start with a letter and can only contain lowercase alphanumeric";

/// `^[a-z][a-z0-9]*$`
pub(super) fn is_attribute_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
