-- +goose Up
ALTER TABLE versions ADD COLUMN source_hash TEXT NOT NULL DEFAULT '';
