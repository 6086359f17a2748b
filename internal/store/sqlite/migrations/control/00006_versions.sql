-- +goose Up
CREATE TABLE versions (
    function_id     BLOB    NOT NULL REFERENCES functions (id) ON DELETE CASCADE,
    number          INTEGER NOT NULL,
    published       INTEGER NOT NULL,
    package_hash    TEXT    NOT NULL,
    package_size    INTEGER NOT NULL,
    package_inline  TEXT    NOT NULL,
    runtime         TEXT    NOT NULL,
    handler         TEXT    NOT NULL,
    memory          INTEGER NOT NULL,
    timeout_us      INTEGER NOT NULL,
    max_concurrency INTEGER NOT NULL,
    idle_timeout_us INTEGER NOT NULL,
    cpu_milli       INTEGER NOT NULL,
    tmp             INTEGER NOT NULL,
    driver          TEXT    NOT NULL,
    capture         TEXT    NOT NULL,
    event_format    TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    description     TEXT    NOT NULL,
    env_vars        TEXT    NOT NULL,
    PRIMARY KEY (function_id, number)
) STRICT;
