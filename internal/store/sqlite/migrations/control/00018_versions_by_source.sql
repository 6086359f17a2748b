-- +goose Up
CREATE INDEX versions_by_source ON versions (source_hash);
