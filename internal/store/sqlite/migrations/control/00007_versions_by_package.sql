-- +goose Up
CREATE INDEX versions_by_package ON versions (package_hash);
