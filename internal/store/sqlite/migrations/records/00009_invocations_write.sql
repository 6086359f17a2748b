-- +goose Up
ALTER TABLE invocations ADD COLUMN write_us INTEGER NOT NULL DEFAULT 0;
