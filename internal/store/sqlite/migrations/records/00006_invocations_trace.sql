-- +goose Up
ALTER TABLE invocations ADD COLUMN trace_id TEXT NOT NULL DEFAULT '';
