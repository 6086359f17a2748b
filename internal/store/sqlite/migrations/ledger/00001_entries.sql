-- +goose Up
CREATE TABLE entries (
    id              BLOB    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL,
    tenant          TEXT    NOT NULL,
    namespace       TEXT    NOT NULL,
    function_id     BLOB    NOT NULL,
    qualifier       TEXT    NOT NULL,
    parent_id       BLOB,
    root_id         BLOB,
    attempt         INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,
    digest          BLOB    NOT NULL,
    event_blob      TEXT    NOT NULL,
    event           BLOB
) STRICT, WITHOUT ROWID;
