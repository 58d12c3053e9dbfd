//! The log on a simulated disk: one seed is one history of appends, saves, restarts and everything a disk does wrong.
//!
//! `WEIR_SIM_SEEDS=n` sets how many fresh seeds are run, `WEIR_SIM_SEED=n` runs one again and tells every step.

mod disk;
mod failure;
mod model;
mod progress;
mod run;

use std::collections::BTreeMap;

use super::faults::{Fault, Faults};
use disk::Injected;
use run::{Report, run};

/// Seeds that found something once.
const KEPT_SEEDS: &[u64] = &[
    // A fall-back of saved progress that was not told what goes back, or not marked as one.
    1795599241426229478,
    1795599241426229486,
    1795599241426229496,
    1795599241426229548,
    1795599241426229572,
    // A duplicate stored again because the first could not be read for a moment.
    1795599241426229500,
    1795599241426229524,
    1795599241426229532,
];
/// Within so many seeds each planted fault must be found.
const SEEDS_PER_FAULT: u64 = 400;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the seeds on two threads; the counts of what was injected, and what was violated first.
fn run_all(seeds: &[u64], tell: bool) -> (BTreeMap<&'static str, u64>, Option<(u64, String)>) {
    let (mut counts, mut violation) = (BTreeMap::new(), None);
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let seeds: Vec<u64> = seeds.iter().copied().skip(half).step_by(2).collect();
                scope.spawn(move || seeds.into_iter().map(|seed| (seed, run_caught(seed, tell))).collect::<Vec<_>>())
            })
            .collect();
        for half in halves {
            for (seed, Report { injected, violation: found }) in half.join().expect("panics are caught") {
                for (what, count) in injected.counts() {
                    *counts.entry(what).or_insert(0) += count;
                }
                violation = violation.take().or(found.map(|found| (seed, found)));
            }
        }
    });
    (counts, violation)
}

/// A panic is a violation too, and has a seed.
fn run_caught(seed: u64, tell: bool) -> Report {
    std::panic::catch_unwind(|| run(seed, Faults::default(), tell))
        .unwrap_or_else(|_| Report { injected: Injected::default(), violation: Some("panicked, see above".to_owned()) })
}

#[test]
fn no_promise_is_broken_whatever_the_disk_does() {
    let one = setting("WEIR_SIM_SEED");
    let first = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64);
    let fresh = setting("WEIR_SIM_SEEDS").unwrap_or(200);
    let seeds: Vec<u64> = match one {
        Some(seed) => vec![seed],
        None => KEPT_SEEDS.iter().copied().chain((0..fresh).map(|n| first.wrapping_add(n))).collect(),
    };
    let (counts, violation) = run_all(&seeds, one.is_some());
    eprintln!("{} seeds, injected: {counts:?}", seeds.len());
    if let Some((seed, violation)) = violation {
        panic!(
            "{violation}\nrun it again, step by step: \
             WEIR_SIM_SEED={seed} cargo test -p weir-channels no_promise_is_broken -- --nocapture"
        );
    }
    if seeds.len() >= 200 {
        assert!(counts.values().all(|count| *count > 0), "something was never injected: {counts:?}");
    }
    assert!(counts.values().any(|count| *count > 0), "nothing was injected: {counts:?}");
}

#[test]
fn every_planted_fault_is_found() {
    let missed: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| {
            let found = (0..SEEDS_PER_FAULT).find_map(|seed| {
                // A seed that finds something without the fault proves nothing.
                let violation = run(seed, Faults::plant(*fault), false).violation?;
                run(seed, Faults::default(), false).violation.is_none().then_some(())?;
                Some((seed, violation))
            });
            eprintln!("{fault:?}: {found:?}");
            found.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
