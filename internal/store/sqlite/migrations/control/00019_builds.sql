-- +goose Up
CREATE TABLE builds (
    function_id BLOB    NOT NULL PRIMARY KEY REFERENCES functions (id) ON DELETE CASCADE,
    id          BLOB    NOT NULL,
    number      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
