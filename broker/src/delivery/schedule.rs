//! When to try again: what an answer means, and how long to wait.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use weir_api::delivery::{BackoffPolicy, Delivery};

/// No wait is longer, before jitter.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Jitter lengthens a wait by at most this part of it.
const JITTER: f64 = 0.1;

/// What a subscriber's answer means for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Accepted,
    /// Not taken now: worth another attempt.
    Retry,
    /// Never will be.
    Refused,
}

/// What a status code means.
///
/// Source: Knative data plane contract, "Event Acknowledgement and Delivery Retry".
pub fn classify(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Accepted,
        404 | 408 | 409 | 429 | 500..=599 => Verdict::Retry,
        100..=199 | 300..=499 => Verdict::Refused,
        _ => Verdict::Retry, // the contract: a code outside its table is retriable
    }
}

/// Wait before the `retry`-th retry, counted from 1, without jitter. Saturates; never shrinks as `retry` grows.
///
/// `linear`: the spec (DeliverySpec) reads as a constant delay, Knative's field doc says delay × retry, and its code
/// starts at zero. We wait d, 2d, 3d …, because a first retry at once hits a subscriber that has just failed.
pub fn backoff(policy: Option<(BackoffPolicy, Duration)>, retry: u32) -> Duration {
    let Some((policy, delay)) = policy else { return Duration::ZERO };
    let factor = match policy {
        BackoffPolicy::Linear => retry,
        BackoffPolicy::Exponential => 2_u32.saturating_pow(retry.saturating_sub(1)),
    };
    delay.saturating_mul(factor).min(LONGEST_WAIT)
}

/// How long a `Retry-After` value asks to wait: seconds or an HTTP date, a past one being now. `None` if it is neither.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits, so what does not fit is too large, not malformed.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// The waits of one event's delivery, in order.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    delivery: &'a Delivery,
    retries: u32,
    /// The longest back-off so far: jitter must not make the next one shorter.
    longest: Duration,
}

impl<'a> Waits<'a> {
    pub(super) fn new(delivery: &'a Delivery) -> Self {
        Self { delivery, retries: 0, longest: Duration::ZERO }
    }

    /// The wait before the next retry, `None` if there is none left. `jitter` is from `0.0..=1.0`.
    pub(super) fn next(&mut self, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
        if self.retries == self.delivery.retry {
            return None;
        }
        self.retries += 1;
        let lengthen = |wait: Duration| wait.saturating_add(wait.mul_f64(JITTER * jitter.clamp(0.0, 1.0)));
        self.longest = self.longest.max(lengthen(backoff(self.delivery.backoff, self.retries)));
        let asked = retry_after.zip(self.delivery.retry_after_max).map(|(asked, most)| asked.min(most));
        Some(self.longest.max(lengthen(asked.unwrap_or_default().min(LONGEST_WAIT))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn status_codes_mean_what_the_data_plane_contract_says() {
        let retried = [404, 408, 409, 429, 600, 999];
        for code in 100..=999 {
            let expected = match code {
                200..=299 => Verdict::Accepted,
                _ if retried.contains(&code) || (500..=999).contains(&code) => Verdict::Retry,
                _ => Verdict::Refused,
            };
            assert_eq!(classify(StatusCode::from_u16(code).expect("code")), expected, "{code}");
        }
    }

    #[test]
    fn backoff_linear_and_exponential_start_at_the_delay() {
        let waits = |policy| (1..=5).map(|retry| backoff(Some((policy, SECOND)), retry).as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(BackoffPolicy::Linear), [1, 2, 3, 4, 5]);
        assert_eq!(waits(BackoffPolicy::Exponential), [1, 2, 4, 8, 16]);
        assert_eq!(backoff(None, 3), Duration::ZERO);
        assert_eq!(backoff(Some((BackoffPolicy::Exponential, SECOND)), u32::MAX), LONGEST_WAIT);
        assert_eq!(backoff(Some((BackoffPolicy::Linear, Duration::MAX)), u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn retry_after_reads_seconds_and_dates_and_ignores_garbage() {
        let now = httpdate::parse_http_date("Wed, 25 Nov 2026 10:00:00 GMT").expect("date");
        let cases = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Wed, 25 Nov 2026 10:01:00 GMT", Some(60)),
            ("Wednesday, 25-Nov-26 10:01:00 GMT", Some(60)),
            ("Wed Nov 25 10:01:00 2026", Some(60)),
            ("Wed, 25 Nov 2020 10:00:00 GMT", Some(0)),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ];
        for (value, expected) in cases {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn retry_after_lengthens_a_wait_up_to_its_limit_and_is_ignored_without_one() {
        let backoff = Some((BackoffPolicy::Exponential, SECOND));
        let limited = |retry_after_max| Delivery { retry: 9, backoff, retry_after_max, ..Delivery::default() };
        let first = |delivery: &Delivery, asked| Waits::new(delivery).next(Some(asked), 0.0).expect("a wait");
        assert_eq!(first(&limited(None), SECOND * 30), SECOND);
        assert_eq!(first(&limited(Some(Duration::ZERO)), SECOND * 30), SECOND);
        assert_eq!(first(&limited(Some(SECOND * 10)), SECOND * 30), SECOND * 10);
        assert_eq!(first(&limited(Some(SECOND * 60)), SECOND * 30), SECOND * 30);
        assert_eq!(first(&limited(Some(SECOND * 60)), Duration::ZERO), SECOND);
        assert_eq!(first(&limited(Some(Duration::MAX)), Duration::MAX), LONGEST_WAIT);
        let delivery = limited(Some(SECOND * 60));
        let mut waits = Waits::new(&delivery);
        waits.next(Some(SECOND * 50), 0.0);
        assert_eq!(waits.next(None, 0.0), Some(SECOND * 2), "one Retry-After does not lengthen later waits");
    }

    proptest! {
        #[test]
        fn waits_never_shrink_and_jitter_adds_a_tenth_at_most(
            linear in any::<bool>(),
            delay in 0_u64..100_000_000,
            jitters in prop::collection::vec(0.0_f64..=1.0, 40),
        ) {
            let policy = if linear { BackoffPolicy::Linear } else { BackoffPolicy::Exponential };
            let backoff = Some((policy, Duration::from_millis(delay)));
            let delivery = Delivery { retry: 40, backoff, ..Delivery::default() };
            let mut waits = Waits::new(&delivery);
            let mut last = Duration::ZERO;
            for (retry, jitter) in (1..).zip(jitters) {
                let wait = waits.next(None, jitter).expect("a retry is left");
                let plain = super::backoff(backoff, retry);
                prop_assert!(wait >= plain && wait >= last);
                prop_assert!(wait <= plain.mul_f64(1.0 + JITTER) + Duration::from_nanos(1) || wait == last);
                last = wait;
            }
            prop_assert_eq!(waits.next(None, 0.0), None);
        }
    }
}
