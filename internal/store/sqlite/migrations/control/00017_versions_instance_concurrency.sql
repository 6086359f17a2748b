-- +goose Up
ALTER TABLE versions ADD COLUMN instance_concurrency INTEGER NOT NULL DEFAULT 0;
