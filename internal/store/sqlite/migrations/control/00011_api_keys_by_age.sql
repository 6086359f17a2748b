-- +goose Up
CREATE INDEX api_keys_by_age ON api_keys (tenant, created_at, id);
