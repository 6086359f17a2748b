-- +goose Up
ALTER TABLE versions ADD COLUMN min_instances INTEGER NOT NULL DEFAULT 0;
