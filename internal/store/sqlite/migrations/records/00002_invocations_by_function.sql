-- +goose Up
CREATE INDEX invocations_by_function ON invocations (function_id, created_at, id);
