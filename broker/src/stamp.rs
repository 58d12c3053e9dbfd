//! What entering a Broker adds to an event: when it arrived, and how many Brokers it may still pass through.
//!
//! Source: Knative's broker ingress (`pkg/broker/ttl.go`, `metrics.go`).

use jiff::Timestamp;
use weir_api::Event;
use weir_api::event::Value;

/// Extension with the time an event entered the Broker, RFC 3339, UTC.
pub(crate) const ARRIVAL_TIME: &str = "knativearrivaltime";
/// Extension with the number of times an event may still enter a Broker.
pub(crate) const TTL: &str = "knativebrokerttl";

/// The event has entered Brokers as often as it may: a loop of replies, or an event posted so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has passed through as many brokers as {TTL} allows")]
pub(crate) struct TtlUsedUp;

/// Stamps `event` as it enters a Broker: overwrites its arrival time, takes one from its TTL.
///
/// A TTL that is no integer counts as none, and none as `max_ttl`.
pub(crate) fn enter(event: &mut Event, max_ttl: i32, now: Timestamp) -> Result<(), TtlUsedUp> {
    let ttl = match event.extension(TTL).and_then(as_integer) {
        Some(ttl) => ttl.saturating_sub(1),
        None => max_ttl,
    };
    if ttl <= 0 {
        return Err(TtlUsedUp);
    }
    event.set_extension(ARRIVAL_TIME, now.to_string());
    event.set_extension(TTL, ttl);
    Ok(())
}

fn as_integer(value: &Value) -> Option<i32> {
    match value {
        Value::Integer(value) => Some(*value),
        Value::String(text) => text.trim().parse().ok(),
        Value::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use weir_api::event::Attributes;

    use super::*;

    fn entered(ttl: Option<Value>) -> Result<Value, TtlUsedUp> {
        let mut event = Event::new(Attributes::default(), None);
        if let Some(ttl) = ttl {
            event.set_extension(TTL, ttl);
        }
        enter(&mut event, 255, Timestamp::UNIX_EPOCH)?;
        assert_eq!(event.extension(ARRIVAL_TIME), Some(&Value::from("1970-01-01T00:00:00Z")));
        Ok(event.extension(TTL).expect("stamped").clone())
    }

    #[test]
    fn ttl_counts_down_and_ends() {
        assert_eq!(entered(None), Ok(Value::Integer(255)));
        assert_eq!(entered(Some(Value::Integer(255))), Ok(Value::Integer(254)));
        assert_eq!(entered(Some("3".into())), Ok(Value::Integer(2)));
        assert_eq!(entered(Some("many".into())), Ok(Value::Integer(255)));
        assert_eq!(entered(Some(Value::Boolean(true))), Ok(Value::Integer(255)));
        for used_up in [1, 0, -1, i32::MIN] {
            assert_eq!(entered(Some(used_up.into())), Err(TtlUsedUp), "{used_up}");
        }
    }
}
