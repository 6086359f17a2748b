-- +goose Up
CREATE INDEX invocations_by_age ON invocations (created_at);
