-- +goose Up
CREATE UNIQUE INDEX builds_by_id ON builds (id);
