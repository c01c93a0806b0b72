/* sqlite_schema.h: the schema as SQLite spells it, step by step. */
#ifndef PENSTOCK_STORE_SQLITE_SCHEMA_H
#define PENSTOCK_STORE_SQLITE_SCHEMA_H

#define SQLITE_SCHEMA_VERSION 14

/* sqlite_migrations[i] leads from version i to i + 1. A step that was released is never changed. */
extern const char *const sqlite_migrations[SQLITE_SCHEMA_VERSION];

#endif
