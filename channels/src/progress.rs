//! How far a subscription is with one partition: a position and what is already settled beyond it.

use serde::{Deserialize, Serialize};

/// Durable progress of one subscription on one partition.
///
/// Every offset below `next` is settled, and so is every offset in `settled`; nothing else is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where the subscription began: events below it were never its own, which differs from delivered when someone
    /// asks where an event went. Saving keeps it as given.
    #[serde(default)]
    pub start: u64,
    /// The first offset not known to be settled.
    pub next: u64,
    /// What is settled beyond `next`.
    #[serde(default, skip_serializing_if = "SettledSet::is_empty")]
    pub settled: SettledSet,
}

/// A set of offsets, kept as sorted, disjoint, non-adjacent ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettledSet {
    /// Half-open ranges `(from, until)`.
    ranges: Vec<(u64, u64)>,
}

impl SettledSet {
    /// Whether nothing is settled.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `offset` is settled.
    pub fn contains(&self, offset: u64) -> bool {
        let after = self.ranges.partition_point(|&(from, _)| from <= offset);
        after > 0 && offset < self.ranges[after - 1].1
    }

    /// The ranges, half open, in order.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Adds `from..until`.
    pub fn insert(&mut self, from: u64, until: u64) {
        if from >= until {
            return;
        }
        // Every range that overlaps or touches the new one melts into it.
        let first = self.ranges.partition_point(|&(_, end)| end < from);
        let last = self.ranges.partition_point(|&(start, _)| start <= until);
        let melted = self.ranges[first..last]
            .iter()
            .fold((from, until), |(from, until), &(start, end)| (from.min(start), until.max(end)));
        self.ranges.splice(first..last, [melted]);
    }
}

impl Progress {
    /// A subscription that begins at `next`: nothing settled from there on.
    pub fn at(next: u64) -> Self {
        Self { start: next, next, settled: SettledSet::default() }
    }

    /// Whether `offset` is settled.
    pub fn is_settled(&self, offset: u64) -> bool {
        offset < self.next || self.settled.contains(offset)
    }

    /// Settles `from..until` and moves `next` over what is settled without a hole.
    pub fn settle(&mut self, from: u64, until: u64) {
        self.settled.insert(from.max(self.next), until);
        if let Some(&(start, end)) = self.settled.ranges.first()
            && start <= self.next
        {
            self.next = end;
            self.settled.ranges.remove(0);
        }
    }

    /// Settles what `other` has settled too; begins where the earlier of the two began.
    pub fn merge(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.settle(0, other.next);
        for &(from, until) in &other.settled.ranges {
            self.settle(from, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn progress_behaves_like_a_set_of_offsets(ranges in prop::collection::vec((0u64..60, 0u64..8), 0..40)) {
            let (mut progress, mut set) = (Progress::default(), BTreeSet::new());
            for (from, len) in ranges {
                progress.settle(from, from + len);
                set.extend(from..from + len);
                for offset in 0..80 {
                    prop_assert_eq!(progress.is_settled(offset), set.contains(&offset), "offset {}", offset);
                }
                let next = (0..).find(|offset| !set.contains(offset));
                prop_assert_eq!(Some(progress.next), next);
                for pair in progress.settled.ranges().windows(2) {
                    prop_assert!(pair[0].1 < pair[1].0, "ranges touch: {:?}", progress);
                }
            }
        }

        #[test]
        fn merge_is_union(a in prop::collection::vec((0u64..60, 0u64..8), 0..20), b in prop::collection::vec((0u64..60, 0u64..8), 0..20)) {
            let build = |ranges: &[(u64, u64)]| {
                let mut progress = Progress::default();
                ranges.iter().for_each(|&(from, len)| progress.settle(from, from + len));
                progress
            };
            let mut merged = build(&a);
            merged.merge(&build(&b));
            prop_assert_eq!(merged, build(&[a, b].concat()));
        }
    }
}
