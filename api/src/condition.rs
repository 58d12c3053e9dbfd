//! Conditions as Knative's living condition sets have them: members that together decide `Ready`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One condition of a resource's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type")]
    pub ty: String,
    /// `True`, `False` or `Unknown`.
    pub status: Status,
    /// `Info` for conditions that do not decide `Ready`; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// When the status last changed, RFC 3339 in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// One word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

/// The happy condition of every kind.
pub const READY: &str = "Ready";

/// The members of a kind's condition set, built whole on each pass.
///
/// `Ready` is derived: False if a member is, else Unknown if a member is, else True; an unhappy `Ready` repeats the
/// reason and message of the member that decided it.
#[derive(Debug, Default)]
pub struct Conditions {
    members: Vec<Condition>,
}

impl Conditions {
    /// No members yet: `Ready` without members is True.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member that holds.
    #[must_use]
    pub fn ok(self, ty: &str) -> Self {
        self.member(ty, Status::True, None, None)
    }

    /// Adds a member that holds for a reason worth telling.
    #[must_use]
    pub fn ok_because(self, ty: &str, reason: &str, message: &str) -> Self {
        self.member(ty, Status::True, Some(reason), Some(message))
    }

    /// Adds a member that does not hold.
    #[must_use]
    pub fn failed(self, ty: &str, reason: &str, message: impl AsRef<str>) -> Self {
        self.member(ty, Status::False, Some(reason), Some(message.as_ref()))
    }

    /// Adds a member that is not known yet.
    #[must_use]
    pub fn unknown(self, ty: &str, reason: &str, message: impl AsRef<str>) -> Self {
        self.member(ty, Status::Unknown, Some(reason), Some(message.as_ref()))
    }

    /// Adds a condition that informs and has no say in `Ready`.
    #[must_use]
    pub fn info(mut self, ty: &str, status: Status, reason: &str, message: &str) -> Self {
        self = self.member(ty, status, Some(reason), Some(message));
        if let Some(added) = self.members.last_mut() {
            added.severity = Some(INFO.to_owned());
        }
        self
    }

    /// Adds a member as another object has it: its status, reason and message under a name of our own.
    #[must_use]
    pub fn copied(self, ty: &str, from: &Condition) -> Self {
        self.member(ty, from.status, from.reason.as_deref(), from.message.as_deref())
    }

    fn member(mut self, ty: &str, status: Status, reason: Option<&str>, message: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        self.members.push(Condition {
            ty: ty.to_owned(),
            status,
            severity: None,
            last_transition_time: None,
            reason: text(reason),
            message: text(message),
        });
        self
    }

    /// The whole list, `Ready` included, sorted by type. A condition whose status did not change since `previous`
    /// keeps its transition time; the others get `now`.
    pub fn finish(mut self, previous: &[Condition], now: Timestamp) -> Vec<Condition> {
        let decisive = [Status::False, Status::Unknown]
            .into_iter()
            .find_map(|status| self.members.iter().rev().find(|member| member.status == status && decides(member)));
        let ready = match decisive {
            Some(member) => Condition { ty: READY.to_owned(), ..member.clone() },
            None => Condition {
                ty: READY.to_owned(),
                status: Status::True,
                severity: None,
                last_transition_time: None,
                reason: None,
                message: None,
            },
        };
        self.members.push(ready);
        self.members.sort_by(|a, b| a.ty.cmp(&b.ty));
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for member in &mut self.members {
            let unchanged = previous.iter().find(|old| old.ty == member.ty && old.status == member.status);
            member.last_transition_time =
                Some(unchanged.and_then(|old| old.last_transition_time.clone()).unwrap_or_else(|| now.clone()));
        }
        self.members
    }
}

/// Severity of a condition that has no say in `Ready`.
const INFO: &str = "Info";

fn decides(member: &Condition) -> bool {
    member.severity.as_deref() != Some(INFO)
}

/// The condition of type `ty`.
pub fn find<'a>(conditions: &'a [Condition], ty: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.ty == ty)
}

/// Whether `Ready` holds.
pub fn is_ready(conditions: &[Condition]) -> bool {
    find(conditions, READY).is_some_and(|ready| ready.status == Status::True)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Timestamp = Timestamp::constant(1_700_000_000, 0);
    const LATE: Timestamp = Timestamp::constant(1_700_000_100, 0);

    fn status_of(conditions: &[Condition], ty: &str) -> Status {
        find(conditions, ty).expect(ty).status
    }

    #[test]
    fn ready_repeats_the_member_that_decided_it() {
        let conditions = Conditions::new()
            .ok("BrokerReady")
            .unknown("SubscriberResolved", "Waiting", "not yet")
            .failed("DependencyReady", "DependencyDoesNotExist", "no such thing")
            .finish(&[], EARLY);
        let ready = find(&conditions, READY).expect("Ready");
        assert_eq!((ready.status, ready.reason.as_deref()), (Status::False, Some("DependencyDoesNotExist")));
        let types: Vec<_> = conditions.iter().map(|condition| condition.ty.as_str()).collect();
        assert_eq!(types, ["BrokerReady", "DependencyReady", "Ready", "SubscriberResolved"]);
    }

    #[test]
    fn info_has_no_say_in_ready() {
        let conditions = Conditions::new().ok("A").info("B", Status::False, "Because", "it is so").finish(&[], EARLY);
        assert!(is_ready(&conditions));
        assert_eq!(find(&conditions, "B").expect("B").severity.as_deref(), Some("Info"));
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let first = Conditions::new().ok("A").unknown("B", "Waiting", "").finish(&[], EARLY);
        assert_eq!(status_of(&first, READY), Status::Unknown);
        let second = Conditions::new().ok("A").ok("B").finish(&first, LATE);
        assert!(is_ready(&second));
        assert_eq!(
            find(&second, "A").expect("A").last_transition_time,
            find(&first, "A").expect("A").last_transition_time
        );
        assert_ne!(
            find(&second, "B").expect("B").last_transition_time,
            find(&first, "B").expect("B").last_transition_time
        );
    }
}
