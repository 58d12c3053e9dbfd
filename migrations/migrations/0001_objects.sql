-- The objects of the embedded Kubernetes-style API.

-- Counters: `rev`, the revision of the whole store; `compacted`, up to which the log has been trimmed.
CREATE TABLE k_meta (
    k TEXT PRIMARY KEY,
    v BIGINT NOT NULL
);

-- The current state. `res` is "plural.group"; `ns` is '' for what belongs to no namespace; `body` is JSON at the
-- storage version, without resourceVersion, which is `rev`.
CREATE TABLE k_obj (
    res TEXT NOT NULL,
    ns TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL UNIQUE,
    rev BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (res, ns, name)
);

-- Every change, for watches that start in the past. `op`: 0 created, 1 updated, 2 deleted. `prev` holds the labels
-- and selectable fields before the change, if the change altered them. `at` is Unix time in milliseconds.
CREATE TABLE k_log (
    rev BIGINT PRIMARY KEY,
    res TEXT NOT NULL,
    ns TEXT NOT NULL,
    name TEXT NOT NULL,
    op SMALLINT NOT NULL,
    body TEXT NOT NULL,
    prev TEXT,
    at BIGINT NOT NULL
);

CREATE INDEX k_log_res ON k_log (res, rev);
