//! Reading: anywhere, by anyone, at any pace; finding by id and by time.

use jiff::{SignedDuration, Timestamp};

use super::{Item, Outcome, Subject, append, at, end_of, ensure, ensure_eq, event, events, item, places};
use crate::{AppendError, Channel, Entry, Position, Reader};

pub(super) fn items() -> Vec<Item> {
    vec![
        item("a_reader_starts_where_it_is_told", anywhere),
        item("a_reader_waits_at_the_tail_and_loses_nothing_when_dropped", tail),
        item("a_reader_beyond_the_tail_waits_for_its_position", beyond),
        item("readers_do_not_disturb_each_other_or_appends", many),
        item("a_reader_before_the_oldest_event_is_told_what_is_missing", gap),
        item("events_are_found_by_id", by_id),
        item("events_are_found_by_time", by_time),
    ]
}

async fn anywhere(subject: Subject) -> Outcome {
    let log = subject.open().await;
    for (partition, places) in places(&append(&*log, 0..100).await?)? {
        let offsets: Vec<u64> = places.keys().copied().collect();
        for (nth, &offset) in offsets.iter().enumerate() {
            let mut reader = log.read(at(partition, offset)).await?;
            let first = events(subject.within("reading", reader.next(1)).await??)?;
            ensure_eq(&first.len(), &1, "entries of a read of one")?;
            ensure_eq(&first[0].position, &at(partition, offset), "position of the first")?;
            let rest = events(subject.read(&*log, at(partition, offset), offsets[offsets.len() - 1]).await?)?;
            let found: Vec<u64> = rest.iter().map(|stored| stored.position.offset).collect();
            ensure_eq(&found, &offsets[nth..].to_vec(), "offsets from the middle")?;
        }
    }
    Ok(())
}

/// Checks that there is nothing to read, and drops the read half way.
async fn ensure_waits(reader: &mut dyn Reader) -> Outcome {
    let a_while = async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        entries = reader.next(10) => ensure(false, format_args!("there is nothing to read, and yet {entries:?}")),
        () = a_while => Ok(()),
    }
}

async fn readers_at_the_tail(log: &dyn Channel) -> Outcome<Vec<Box<dyn Reader>>> {
    let mut readers = Vec::new();
    for partition in 0..log.partitions() {
        readers.push(log.read(at(partition, log.bounds(partition).await?.next)).await?);
    }
    Ok(readers)
}

async fn tail(subject: Subject) -> Outcome {
    let log = subject.open().await;
    append(&*log, 0..10).await?;
    let mut readers = readers_at_the_tail(&*log).await?;
    for n in 10..30 {
        for reader in &mut readers {
            ensure_waits(&mut **reader).await?;
        }
        let (position, _) = append(&*log, n..n + 1).await?.remove(0);
        let reader = &mut *readers[position.partition as usize];
        let read = events(subject.read_on(reader, position.offset, 10).await?)?;
        ensure_eq(&read.iter().map(|stored| &stored.event).collect::<Vec<_>>(), &vec![&event(n)], "what came")?;
    }
    Ok(())
}

async fn beyond(subject: Subject) -> Outcome {
    let log = subject.open().await;
    let (position, _) = append(&*log, 0..1).await?.remove(0);
    let from = at(position.partition, position.offset + 10);
    let mut reader = log.read(from).await?;
    ensure_waits(&mut *reader).await?;
    let mut n = 1;
    let reached = loop {
        let (position, _) = append(&*log, n..n + 1).await?.remove(0);
        if position.partition == from.partition && position.offset >= from.offset {
            break position;
        }
        ensure_waits(&mut *reader).await?;
        n += 1;
    };
    let read = events(subject.read_on(&mut *reader, reached.offset, 10).await?)?;
    ensure_eq(&read.first().map(|stored| stored.position), &Some(reached), "the first position")
}

async fn many(subject: Subject) -> Outcome {
    let log = subject.open().await;
    let before = append(&*log, 0..50).await?;
    let oldest = Position { offset: log.bounds(before[0].0.partition).await?.earliest, ..before[0].0 };
    let mut readers = Vec::new();
    for _ in 0..8 {
        readers.push(log.read(oldest).await?);
    }
    let appended = append(&*log, 50..150).await?;
    let places = places(&[before, appended].concat())?;
    let expected: Vec<u64> = places[&oldest.partition].keys().copied().collect();
    let last = expected[expected.len() - 1];
    for (nth, mut reader) in readers.into_iter().enumerate() {
        let entries = events(subject.read_on(&mut *reader, last, 1 + nth * 13).await?)?;
        let found: Vec<u64> = entries.iter().map(|stored| stored.position.offset).collect();
        ensure_eq(&found, &expected, format_args!("offsets of reader {nth}"))?;
    }
    Ok(())
}

async fn gap(subject: Subject) -> Outcome {
    let Some(log) = subject.harness.open_forgetful(subject.name).await else { return Ok(()) };
    let bulk = || weir_api::Event::new(event(0).attributes().clone(), Some(vec![7; 64 << 10].into()));
    let (mut first, mut last) = (None, at(0, 0));
    for _ in 0..64 {
        let append = async {
            loop {
                match log.append(bulk()).await {
                    // It is about to forget something.
                    Err(AppendError::Full) => tokio::task::yield_now().await,
                    appended => return appended,
                }
            }
        };
        last = subject.within("making room", append).await??;
        first.get_or_insert(last);
    }
    let first = Position { partition: last.partition, ..first.unwrap_or(last) };
    let forgotten = async {
        loop {
            match log.bounds(last.partition).await {
                Ok(bounds) if bounds.earliest <= first.offset => tokio::task::yield_now().await,
                bounds => return bounds,
            }
        }
    };
    subject.within("forgetting", forgotten).await??;
    let mut reader = log.read(at(last.partition, 0)).await?;
    let entries = subject.within("reading", reader.next(1)).await??;
    let Some(&Entry::Gap { from, until, .. }) = entries.first() else {
        return ensure(false, "what is missing was passed over in silence");
    };
    ensure_eq(&from, &at(last.partition, 0), "where the gap begins")?;
    let rest = subject.read_on(&mut *reader, last.offset, 10).await?;
    let begin = rest.iter().map(|entry| match entry {
        Entry::Event(stored) => stored.position.offset,
        Entry::Undecodable { position, .. } => position.offset,
        Entry::Gap { from, .. } => from.offset,
    });
    // More may expire meanwhile, which is a gap of its own; never a hole without one.
    let mut next = until;
    for (begins, entry) in begin.zip(&rest) {
        ensure_eq(&begins, &next, "the next position")?;
        next = end_of(entry);
    }
    Ok(())
}

async fn by_id(subject: Subject) -> Outcome {
    let log = subject.open().await;
    let mut other = event(3).attributes().clone();
    other.source = "/elsewhere".to_owned();
    let other = weir_api::Event::new(other, None);
    let mut expected = vec![append(&*log, 0..50).await?[3].0];
    let elsewhere = log.append(other.clone()).await?;
    append(&*log, 50..60).await?;
    expected.push(append(&*log, 3..4).await?[0].0);
    let (id, source) = (event(3).id().to_owned(), event(3).source().to_owned());
    let here = log.find(&id, Some(&source), 10).await?;
    ensure_eq(&here.iter().map(|stored| stored.position).collect(), &expected, "places of one id and source")?;
    ensure(here.iter().all(|stored| stored.event == event(3)), "a search changed an event")?;
    let oldest = log.find(&id, Some(&source), 1).await?;
    ensure_eq(&oldest.iter().map(|stored| stored.position).collect(), &expected[..1].to_vec(), "the oldest one")?;
    expected.push(elsewhere);
    expected.sort();
    let mut anywhere: Vec<_> = log.find(&id, None, 10).await?.iter().map(|stored| stored.position).collect();
    anywhere.sort();
    ensure_eq(&anywhere, &expected, "places of one id")?;
    ensure(log.find("event", None, 10).await?.is_empty(), "part of an id was found")?;
    ensure(log.find(&id, Some("/nowhere"), 10).await?.is_empty(), "an id was found at another source")
}

async fn by_time(subject: Subject) -> Outcome {
    let log = subject.open().await;
    for (partition, places) in places(&append(&*log, 0..100).await?)? {
        let offsets: Vec<u64> = places.keys().copied().collect();
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let stored = events(subject.read(&*log, at(partition, first), last).await?)?;
        let next = log.bounds(partition).await?.next;
        let instants = stored.iter().step_by(9).map(|stored| stored.stored_at);
        let later = |time: Timestamp| time.checked_add(SignedDuration::from_nanos(1)).unwrap_or(time);
        let times = instants.flat_map(|time| [time, later(time)]).chain([Timestamp::MIN, Timestamp::MAX]);
        for time in times {
            let expected = stored.iter().find(|stored| stored.stored_at >= time);
            let expected = expected.map_or(at(partition, next), |stored| stored.position);
            ensure_eq(&log.seek(partition, time).await?, &expected, format_args!("seeking {time}"))?;
        }
    }
    Ok(())
}
