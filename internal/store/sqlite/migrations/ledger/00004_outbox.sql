-- +goose Up
CREATE TABLE outbox (
    id         BLOB    NOT NULL PRIMARY KEY,
    topic      TEXT    NOT NULL,
    entry_id   BLOB    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
