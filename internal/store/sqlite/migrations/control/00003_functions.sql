-- +goose Up
CREATE TABLE functions (
    id             BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    namespace      TEXT    NOT NULL REFERENCES namespaces (name),
    name           TEXT    NOT NULL,
    name_folded    TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    status_message TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
