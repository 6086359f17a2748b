-- +goose Up
CREATE TABLE version_tags (
    function_id BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    tag         TEXT    NOT NULL,
    PRIMARY KEY (function_id, number, tag),
    FOREIGN KEY (function_id, number) REFERENCES versions (function_id, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
