/* sqlite_vfs.h: how SQLite gets at its files here: as it would by itself, but for two things.
 *
 * Paths are taken as they are. And the WAL is written in one piece a commit: SQLite writes each
 * page with two calls, and the pieces of a commit lie one behind the other. The file grows in large
 * steps, for a sync of a file whose length has changed is a good deal slower. So the moment is
 * known at which a commit is written whole and not synced yet. */
#ifndef PENSTOCK_STORE_SQLITE_VFS_H
#define PENSTOCK_STORE_SQLITE_VFS_H

/* Its name, for sqlite3_open_v2; registered at the first call. Threads: not two at once. */
const char *sqlite_vfs_name(void);

struct sqlite3;
struct store_written;
/* The next commit of the connection calls it when its WAL holds all of it, before the sync
 * (tx_on_written). Borrowed until it is taken away with NULL. */
void sqlite_vfs_tell_written(struct sqlite3 *db, struct store_written *written);

#endif
