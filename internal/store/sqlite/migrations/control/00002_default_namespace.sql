-- +goose Up
INSERT INTO namespaces (name, tenant, created_at) VALUES ('default', 'default', 0);
