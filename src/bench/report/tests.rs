use super::text::Head;
use super::*;

fn spread(median: f64) -> Spread {
    Spread { median, min: median * 0.5, max: median * 2.0 }
}

fn report() -> Report {
    let echo = Row {
        name: "echo".to_owned(),
        accepted_per_second: Some(spread(60_000.0)),
        events: Events { sent: 300_000, acknowledged: 300_000, ..Events::default() },
        ..Row::default()
    };
    let mut fsync = Row {
        name: "fsync".to_owned(),
        accepted_per_second: Some(spread(33_000.0)),
        accept_latency: Some(Percentiles {
            p50_ms: 1.5,
            p90_ms: 2.0,
            p99_ms: 3.25,
            p99_9_ms: 9.0,
            max_ms: 12.0,
            count: 165_000,
        }),
        events: Events { sent: 165_003, acknowledged: 165_000, ..Events::default() },
        errors: BTreeMap::from([("503".to_owned(), 2), ("broken".to_owned(), 1)]),
        memory: Some(Memory { before_bytes: 20 << 20, peak_bytes: 31 << 20, after_bytes: 30 << 20 }),
        cpu_seconds: Some(4.5),
        ..Row::default()
    };
    fsync.compare(&echo);
    let figures = Figure::ratio(&fsync, "accepted", 0.5).into_iter().collect();
    let accept = Finding {
        name: "accept".to_owned(),
        about: "events accepted, no Trigger".to_owned(),
        rows: vec![echo, fsync],
        figures,
        error: None,
    };
    let idle = Finding {
        name: "idle".to_owned(),
        about: "memory at rest".to_owned(),
        figures: vec![
            Figure::new("without Triggers", 61.0, "MiB", Limit::AtMost(50.0)),
            Figure::fact("with 1,000 Triggers", 70.5, "MiB"),
        ],
        error: Some("`weir run` ended".to_owned()),
        ..Finding::default()
    };
    Report {
        version: "0.1.0".to_owned(),
        started: "2026-11-25T08:00:00Z".to_owned(),
        machine: Machine { cores: 2, dir: "/tmp".to_owned(), sync_ms: spread(1.5) },
        settings: Settings {
            connections: 64,
            size_bytes: 1024,
            duration_seconds: 5.0,
            warmup_seconds: 1.0,
            repeat: 3,
            threads: 1,
        },
        scenarios: vec![accept, idle],
    }
}

#[test]
fn the_json_form_is_stable() {
    insta::assert_json_snapshot!(report());
}

#[test]
fn the_text_form_leaves_out_what_no_row_has() {
    let report = report();
    let findings: String = report.scenarios.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(format!("{}{findings}", Head(&report)));
}

#[test]
fn a_lost_event_or_a_failed_scenario_makes_the_report_unsound_a_missed_figure_does_not() {
    let mut report = report();
    assert!(!report.is_sound(), "idle failed");
    report.scenarios[1].error = None;
    assert!(report.is_sound());
    report.scenarios[0].rows[1].events.lost = 1;
    assert!(!report.is_sound());
}

#[test]
fn limits_include_their_own_value() {
    assert_eq!(Figure::new("a", 0.5, "×", Limit::AtLeast(0.5)).met, Some(true));
    assert_eq!(Figure::new("a", 0.49, "×", Limit::AtLeast(0.5)).met, Some(false));
    assert_eq!(Figure::new("a", 50.0, "MiB", Limit::AtMost(50.0)).met, Some(true));
    assert_eq!(Figure::new("a", f64::NAN, "MiB", Limit::AtMost(50.0)).met, Some(false));
}
