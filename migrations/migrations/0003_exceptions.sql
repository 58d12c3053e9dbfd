-- What happened to events beyond "delivered" and "not matched", which are computed: failed attempts, drops, expiries,
-- and a sample of successes for their timings. Times are microseconds since 1970.
CREATE TABLE exceptions (
    id              TEXT PRIMARY KEY,  -- UUIDv7: in order of arrival
    at              BIGINT NOT NULL,
    kind            TEXT NOT NULL,     -- from a closed set
    subscription    TEXT NOT NULL,
    namespace       TEXT NOT NULL,
    broker          TEXT NOT NULL,
    trigger_name    TEXT NOT NULL,
    log_partition   BIGINT NOT NULL,
    log_offset      BIGINT NOT NULL,
    event_id        TEXT NOT NULL,
    event_source    TEXT NOT NULL,
    event_type      TEXT NOT NULL,
    attempt         BIGINT NOT NULL,   -- counted from 1; 0 where none was made
    destination     TEXT NOT NULL,
    code            BIGINT,
    detail          TEXT NOT NULL,
    duration_micros BIGINT NOT NULL
);

CREATE INDEX exceptions_event ON exceptions (event_id);
