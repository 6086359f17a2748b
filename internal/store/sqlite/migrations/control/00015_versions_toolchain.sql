-- +goose Up
ALTER TABLE versions ADD COLUMN toolchain TEXT NOT NULL DEFAULT '';
