-- +goose Up
ALTER TABLE invocations ADD COLUMN route_us INTEGER NOT NULL DEFAULT 0;
