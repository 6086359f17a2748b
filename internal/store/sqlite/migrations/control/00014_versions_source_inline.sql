-- +goose Up
ALTER TABLE versions ADD COLUMN source_inline TEXT NOT NULL DEFAULT '';
