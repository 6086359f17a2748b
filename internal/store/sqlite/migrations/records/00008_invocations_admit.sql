-- +goose Up
ALTER TABLE invocations ADD COLUMN admit_us INTEGER NOT NULL DEFAULT 0;
