-- +goose Up
ALTER TABLE versions ADD COLUMN source_size INTEGER NOT NULL DEFAULT 0;
