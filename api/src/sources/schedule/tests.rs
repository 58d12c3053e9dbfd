use super::*;

#[test]
fn schedules_of_knative_are_valid() {
    for text in [
        "* * * * *",
        "*/2 * * * *",
        "0 0 1 1 0",
        "59 23 31 12 6",
        "0-30/10,45 8-18 * JAN-mar,dec Mon-Fri",
        "5/15 * ? * ?",
        "*/90 * * * *",
        "  30 9 * * 1-5\t",
        "*/10 * * * * *",
        "0 30 9 1,15 * mon",
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
        "CRON_TZ=Europe/Berlin 0 6 * * *",
        "TZ=UTC @daily",
        "TZ=Local   */5 * * * *",
    ] {
        assert_eq!(check(text), Ok(()), "{text:?}");
    }
}

#[test]
fn every_is_valid_beyond_knative() {
    for text in
        ["@every 1s", "@every 1h30m", "@every 1.5s", "@every 2562047h", "@every 1000ms", "CRON_TZ=UTC @every 5m"]
    {
        assert_eq!(check(text), Ok(()), "{text:?}");
    }
}

#[test]
fn mistakes_are_told_with_their_position() {
    let cases = [
        ("", 1, "expected 5 fields"),
        ("   ", 4, "expected 5 fields"),
        ("* * *", 6, "expected 5 fields (minute, hour, day of the month, month, day of the week), or 6 with the"),
        ("* * * * * * *", 13, "expected 5 fields"),
        ("60 * * * *", 1, "minute: expected 0 to 59, got \"60\""),
        ("* 24 * * *", 3, "hour: expected 0 to 23, got \"24\""),
        ("* * 0 * *", 5, "day of the month: expected 1 to 31, got \"0\""),
        ("* * 32 * *", 5, "day of the month: expected 1 to 31, got \"32\""),
        ("* * * 13 *", 7, "month: expected 1 to 12 or jan to dec, got \"13\""),
        ("* * * * 7", 9, "day of the week: expected 0 to 6 or sun to sat, got \"7\""),
        ("* * * * monday", 9, "day of the week: expected 0 to 6 or sun to sat, got \"monday\""),
        ("mon * * * *", 1, "minute: expected 0 to 59, got \"mon\""),
        ("60 * * * * *", 1, "second: expected 0 to 59, got \"60\""),
        ("* 1,2,99 * * *", 7, "hour: expected 0 to 23, got \"99\""),
        ("* 1,,2 * * *", 5, "hour: expected 0 to 23, got \"\""),
        ("* 1, * * *", 5, "hour: expected 0 to 23, got \"\""),
        ("* 5-3 * * *", 3, "hour: the range goes backwards"),
        ("* * * * fri-mon", 9, "day of the week: the range goes backwards"),
        ("* 1-2-3 * * *", 5, "hour: expected 0 to 23, got \"2-3\""),
        ("* *-5 * * *", 3, "hour: expected 0 to 23, got \"*\""),
        ("* -5 * * *", 3, "hour: expected 0 to 23, got \"\""),
        ("* +5 * * *", 3, "hour: expected 0 to 23, got \"+5\""),
        ("*/0 * * * *", 3, "minute: expected a step of 1 or more, got \"0\""),
        ("*/ * * * *", 3, "minute: expected a step of 1 or more, got \"\""),
        ("*/5/5 * * * *", 3, "minute: expected a step of 1 or more, got \"5/5\""),
        ("** * * * *", 1, "minute: expected 0 to 59, got \"**\""),
        ("* ä * * *", 3, "hour: expected 0 to 23, got \"ä\""),
        ("@fortnightly", 1, "expected @yearly, @annually"),
        ("@Hourly", 1, "expected @yearly, @annually"),
        ("@every", 1, "expected @yearly, @annually"),
        ("@every 5", 8, "expected a duration of 1s or more"),
        ("@every x", 8, "expected a duration of 1s or more"),
        ("@every 500ms", 8, "expected a duration of 1s or more"),
        ("@every -5m", 8, "expected a duration of 1s or more"),
        ("@every 1.2.3s", 8, "expected a duration of 1s or more"),
        ("@every 9999999h", 8, "expected a duration of 1s or more"),
        ("TZ=Mars/Olympus * * * * *", 4, "expected an IANA time zone name"),
        (" CRON_TZ= * * * * *", 10, "expected an IANA time zone name"),
        ("TZ=UTC", 7, "expected 5 fields"),
        ("TZ=UTC * 24 * * *", 10, "hour: expected 0 to 23"),
        ("CRON_TZ=UTC TZ=UTC * * * *", 13, "minute: expected 0 to 59, got \"TZ=UTC\""),
    ];
    for (text, at, problem) in cases {
        let error = check(text).expect_err(text);
        assert!(error.at == at && error.problem.starts_with(problem), "{text:?}: {error}");
    }
}

#[test]
fn schedule_says_whether_it_names_a_time_zone() {
    assert!(names_zone("TZ=UTC @daily") && names_zone(" CRON_TZ=UTC * * * * *"));
    assert!(!names_zone("* * * * *") && !names_zone("@daily"));
}
