-- +goose Up
CREATE INDEX functions_by_tenant ON functions (tenant, name_folded, namespace);
