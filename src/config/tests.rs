use super::*;

fn environment(vars: &[(&str, &str)]) -> Environment {
    vars.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn later_sources_win_and_are_remembered() {
    let file = file("listen: 127.0.0.1:1\napiListen: 127.0.0.1:2\nlog:\n  format: json\n  filter: warn\n");
    let vars = environment(&[("HOME", "/home/me"), ("WEIR_API_LISTEN", "127.0.0.1:3"), ("WEIR_LOG_FILTER", "debug")]);
    let flags = vec![("log.filter", "--log", json!("trace"))];
    let layers = Layers::merge(Some(file.path()), &vars, flags).expect("layers");
    let settings = layers.settings().expect("settings");
    assert_eq!(settings.data_dir, Path::new("/home/me/.local/share/weir"));
    assert_eq!(settings.listen.port(), 1);
    assert_eq!(settings.api_listen.port(), 3);
    assert_eq!(settings.data_plane.ingress.max_event_bytes, 1 << 20);
    assert_eq!((settings.log.filter.as_str(), settings.log.format), ("trace", LogFormat::Json));
    let origin = |path| {
        let key = KEYS.iter().find(|key| key.path == path).expect("key");
        layers.get(key).expect("value").1.to_string()
    };
    assert_eq!(origin("dataDir"), "default");
    assert_eq!(origin("listen"), format!("file {}", file.path().display()));
    assert_eq!(origin("apiListen"), "environment WEIR_API_LISTEN");
    assert_eq!(origin("log.filter"), "flag --log");
}

#[test]
fn our_variable_is_stronger_than_the_well_known_one() {
    let vars = environment(&[("HOME", "/"), ("RUST_LOG", "warn"), ("WEIR_LOG_FILTER", "debug")]);
    let settings = Layers::merge(None, &vars, vec![]).and_then(|layers| layers.settings()).expect("settings");
    assert_eq!(settings.log.filter, "debug");
}

#[test]
fn a_misspelt_key_is_refused_with_file_and_line() {
    let file = file("listen: 127.0.0.1:1\nlog:\n  fromat: json\n");
    let failure = Layers::merge(Some(file.path()), &environment(&[]), vec![]).expect_err("refused");
    assert_eq!(failure.exit(), Exit::Usage);
    let message = failure.to_string();
    for part in [&*file.path().to_string_lossy(), "fromat", "line 3"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_key_and_origin() {
    for (name, value, path) in [
        ("WEIR_LISTEN", "8080", "listen"),
        ("WEIR_WORKER_THREADS", "0", "workerThreads"),
        ("WEIR_WORKER_THREADS", "many", "workerThreads"),
        ("WEIR_INGRESS_MAX_EVENT_BYTES", "-1", "ingress.maxEventBytes"),
        ("WEIR_INGRESS_MAX_PENDING_BYTES", "1000", "ingress.maxPendingBytes"),
        ("WEIR_DISPATCHER_MAX_IN_FLIGHT", "0", "dispatcher.maxInFlight"),
        ("WEIR_LOG_FORMAT", "xml", "log.format"),
        ("WEIR_LOG_FILTER", "a=b=c", "log.filter"),
        ("WEIR_SHUTDOWN_GRACE", "soon", "shutdown.grace"),
        ("WEIR_TRACING_SAMPLE_RATIO", "7", "tracing.sampleRatio"),
        ("WEIR_TRACING_ENDPOINT", "nowhere", "tracing.endpoint"),
    ] {
        let vars = environment(&[("HOME", "/"), (name, value)]);
        let failure = Layers::merge(None, &vars, vec![]).and_then(|layers| layers.settings()).expect_err(name);
        let message = failure.to_string();
        assert!(message.contains(&format!(": {path}: ")), "{message}");
        assert!(message.ends_with(&format!("(environment {name})")), "{message}");
        assert_eq!(failure.exit(), Exit::Usage);
    }
}

#[test]
fn a_secret_does_not_print() {
    let vars = environment(&[("HOME", "/"), ("WEIR_STORE", "postgres://weir:hunter2@db/weir")]);
    let settings = Layers::merge(None, &vars, vec![]).and_then(|layers| layers.settings()).expect("settings");
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert_eq!(settings.store.expect("set").reveal(), "postgres://weir:hunter2@db/weir");
}

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, millis) in [("0", 0), ("0s", 0), ("250ms", 250), ("30s", 30_000), ("1m 30s", 90_000), ("PT2S", 2_000)] {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "soon", "-1s", "5"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn every_key_is_documented() {
    let page = include_str!("../../docs/configuration.md");
    for key in KEYS {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", key.path)))
            .unwrap_or_else(|| panic!("{}", key.path));
        for name in key.environment_names() {
            assert!(row.contains(&format!("`{name}`")), "{name} is missing in {row}");
        }
        match key.default_value(&Environment::new()) {
            Value::String(default) => assert!(row.contains(&format!("`{default}`")), "{default} is missing in {row}"),
            Value::Number(default) => assert!(row.contains(&format!("`{}`", default)), "{default} is missing in {row}"),
            _ => {}
        }
    }
}

#[test]
fn spans_go_below_the_collectors_url_unless_it_is_the_one_of_spans() {
    let url = |name, value| {
        let vars = environment(&[("HOME", "/"), (name, value)]);
        let settings = Layers::merge(None, &vars, vec![]).and_then(|layers| layers.settings()).expect("settings");
        settings.tracing.endpoint.expect("a URL").to_string()
    };
    for base in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
        assert_eq!(url("OTEL_EXPORTER_OTLP_ENDPOINT", base), "http://c:4318/v1/traces");
        assert_eq!(url("WEIR_TRACING_ENDPOINT", base), "http://c:4318/v1/traces");
    }
    assert_eq!(url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/x"), "http://c:4318/x");
}
