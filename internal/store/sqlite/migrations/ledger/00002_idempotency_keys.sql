-- +goose Up
CREATE TABLE idempotency_keys (
    namespace       TEXT    NOT NULL,
    function_id     BLOB    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    entry_id        BLOB    NOT NULL,
    digest          BLOB    NOT NULL,
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (namespace, function_id, idempotency_key)
) STRICT, WITHOUT ROWID;
