-- +goose Up
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (tenant, name);
