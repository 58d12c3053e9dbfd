-- Events that could not be delivered and had no other place to go. One row per subscription and position, so that
-- writing the same letter again after a crash changes nothing. Times are microseconds since 1970.
CREATE TABLE dead_letters (
    id            TEXT PRIMARY KEY,  -- UUIDv7: in order of arrival
    subscription  TEXT NOT NULL,     -- UID of the Trigger; of the Broker where no Trigger is concerned
    namespace     TEXT NOT NULL,
    broker        TEXT NOT NULL,
    trigger_name  TEXT NOT NULL,     -- empty where no Trigger is concerned
    log_partition BIGINT NOT NULL,
    log_offset    BIGINT NOT NULL,
    stored_at     BIGINT NOT NULL,   -- when the log took the event
    dead_at       BIGINT NOT NULL,
    redriven_at   BIGINT,
    attempts      BIGINT NOT NULL,
    kind          TEXT NOT NULL,     -- of failure, from a closed set
    reason        TEXT NOT NULL,     -- in words; few distinct values, so that letters can be grouped by it
    detail        TEXT NOT NULL,     -- in words, everything known
    destination   TEXT NOT NULL,     -- knativeerrordest
    code          BIGINT,            -- knativeerrorcode
    error_data    TEXT NOT NULL,     -- knativeerrordata: base64
    event_id      TEXT NOT NULL,
    event_source  TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    event         TEXT,              -- JSON format of CloudEvents
    raw           TEXT,              -- base64 of a record that is no event
    UNIQUE (subscription, log_partition, log_offset)
);

CREATE INDEX dead_letters_event ON dead_letters (event_id);
