-- +goose Up
ALTER TABLE invocations ADD COLUMN log_cut INTEGER NOT NULL DEFAULT 0;
