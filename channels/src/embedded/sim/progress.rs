//! Saved progress on a disk that fails at the worst moment.

use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, Rates};
use crate::Progress;
use crate::embedded::cursors::{Change, Cursors, Saved};
use crate::embedded::faults::Faults;

const DIR: &str = "/log";

fn open(disk: &Disk) -> Cursors {
    let log_existed = !disk.files(".cursors").is_empty();
    let fs = Arc::new(disk.clone());
    Cursors::open(fs, Path::new(DIR), Faults::default(), log_existed, 7).expect("opens").0
}

fn save(id: &str, next: u64) -> Change {
    Change::Save(id.into(), 0, Progress::at(next))
}

fn reset(id: &str, next: u64) -> Change {
    Change::Reset(id.into(), 0, Progress::at(next))
}

fn next_of(saved: &Saved, id: &str) -> Option<u64> {
    saved.subscriptions.get(id).map(|partitions| partitions[&0].next)
}

/// Lets one save fail, and with it the files it went to.
fn fail_once(disk: &Disk, store: &mut Cursors) {
    disk.set_rates(Rates { failed_sync: 1.0, ..Rates::default() });
    store.commit(&[save("victim", 1)]).expect_err("cannot be durable");
    disk.set_rates(Rates::default());
}

fn lose_newest(disk: &Disk) {
    let newest = disk.files(".cursors").pop().expect("a store has files");
    disk.vanish(&newest);
}

#[test]
fn a_lost_file_is_noticed_although_writing_failed_before_it() {
    let disk = Disk::new(1);
    let mut store = open(&disk);
    store.commit(&[save("a", 5)]).expect("saves");
    fail_once(&disk, &mut store);
    store.commit(&[save("b", 9)]).expect("saves into new files");
    drop(store);
    lose_newest(&disk);
    let saved = open(&disk).saved().read().clone();
    assert!(saved.lossy);
    assert_eq!((next_of(&saved, "a"), next_of(&saved, "b")), (Some(5), Some(9)));
}

#[test]
fn what_went_back_stays_back_when_the_newest_file_is_lost() {
    for fails in [false, true] {
        let disk = Disk::new(2);
        let mut store = open(&disk);
        store.commit(&[save("a", 50), save("b", 50), save("c", 50)]).expect("saves");
        if fails {
            fail_once(&disk, &mut store);
        }
        store.commit(&[reset("a", 3), Change::Forget("b".into()), save("c", 60)]).expect("saves");
        drop(store);
        lose_newest(&disk);
        let saved = open(&disk).saved().read().clone();
        assert!(saved.lossy);
        assert_eq!((next_of(&saved, "a"), next_of(&saved, "b")), (Some(3), None));
        assert!(next_of(&saved, "c").is_some_and(|next| (50..=60).contains(&next)));
    }
}

#[test]
fn progress_is_not_lossy_after_restarts_without_damage() {
    let disk = Disk::new(3);
    for next in 1..5 {
        let mut store = open(&disk);
        assert!(!store.saved().read().lossy);
        assert_eq!(next_of(&store.saved().read(), "a"), (next > 1).then(|| next - 1));
        store.commit(&[save("a", next)]).expect("saves");
        fail_once(&disk, &mut store);
        drop(store);
        disk.lose_power();
    }
    let _store = open(&disk);
    assert_eq!(disk.files(".cursors").len(), 2);
}
