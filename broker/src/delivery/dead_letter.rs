//! What becomes of an event whose delivery failed for good.

use weir_api::Event;
use weir_api::event::Value;

use super::failure::Failure;

/// Extension: the URL that finally failed.
pub const ERROR_DEST: &str = "knativeerrordest";
/// Extension: the status of the last attempt.
pub const ERROR_CODE: &str = "knativeerrorcode";
/// Extension: the first bytes of the last answer's body, in base64.
pub const ERROR_DATA: &str = "knativeerrordata";

/// `event` as a dead letter sink gets it: with the error attributes, of which an earlier hop's are kept.
///
/// Source: `[ev] pkg/kncloudevents/attributes/knative_error.go`.
pub(super) fn letter(event: &Event, failure: &Failure) -> Event {
    let mut letter = event.clone();
    let mut add = |name: &str, value: Value| {
        let taken = event.extension(name).is_some_and(|known| *known != Value::String(String::new()));
        if !taken {
            letter.set_extension(name, value);
        }
    };
    add(ERROR_DEST, Value::from(&*failure.destination));
    add(ERROR_CODE, Value::Integer(failure.code.into()));
    add(ERROR_DATA, Value::from(failure.data()));
    letter
}
