-- +goose Up
CREATE INDEX invocations_by_namespace ON invocations (namespace, created_at, id);
