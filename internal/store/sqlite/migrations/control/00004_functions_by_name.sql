-- +goose Up
CREATE UNIQUE INDEX functions_by_name ON functions (namespace, name_folded);
