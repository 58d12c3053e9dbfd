//! The history of a run and the promises it is held to (reliability.md 1.1, 1.3, 1.4).

use std::collections::BTreeMap;

/// What was acknowledged and what arrived, per key; sequence numbers of a key are sent one after the other, each
/// until it is acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Last acknowledged sequence number by key; numbers start at 1.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// Sequence numbers in the order of arrival by key.
    pub(crate) received: BTreeMap<String, Vec<u64>>,
}

impl Journal {
    /// Whether everything acknowledged has arrived.
    pub(crate) fn complete(&self) -> bool {
        self.acknowledged.iter().all(|(key, last)| {
            self.received.get(key).and_then(|all| all.iter().max()).is_some_and(|highest| highest >= last)
        })
    }

    /// Every violated promise; `restarts` bounds how often a key may be repeated from an earlier number.
    pub(crate) fn violations(&self, restarts: usize) -> Vec<String> {
        let mut violations = Vec::new();
        for (key, last) in &self.acknowledged {
            let received = self.received.get(key).map_or(&[][..], Vec::as_slice);
            let mut rewinds = 0;
            let (mut previous, mut highest) = (0, 0);
            for &number in received {
                if number > previous + 1 || number > highest + 1 {
                    violations.push(format!("key {key}: {number} came after {previous} (highest {highest}): a gap"));
                }
                if number < previous {
                    rewinds += 1;
                }
                previous = number;
                highest = highest.max(number);
            }
            if highest < *last {
                violations.push(format!("key {key}: acknowledged up to {last}, received up to {highest}: lost"));
            }
            if rewinds > restarts {
                violations.push(format!("key {key}: repeated {rewinds} times in {restarts} restarts: reordered"));
            }
        }
        violations
    }
}

#[test]
fn the_checker_finds_what_it_is_for() {
    let journal = |acknowledged: u64, received: &[u64]| Journal {
        acknowledged: [("k".to_owned(), acknowledged)].into(),
        received: [("k".to_owned(), received.to_vec())].into(),
    };
    assert!(journal(4, &[1, 2, 3, 2, 3, 4]).violations(1).is_empty());
    assert_eq!(journal(4, &[1, 2, 4, 3]).violations(1).len(), 1, "a gap");
    assert_eq!(journal(4, &[1, 2, 3]).violations(1).len(), 1, "a loss");
    assert_eq!(journal(3, &[1, 2, 1, 2, 1, 3]).violations(1).len(), 2, "a reordering");
}
