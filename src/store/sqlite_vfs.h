/* sqlite_vfs.h: how SQLite gets at its files here: as it would by itself, but for two things.
 *
 * Paths are taken as they are. And the WAL is written in one piece a commit: SQLite writes each
 * page with two calls, and the pieces of a commit lie one behind the other. The file grows in large
 * steps, for a sync of a file whose length has changed is a good deal slower. */
#ifndef PENSTOCK_STORE_SQLITE_VFS_H
#define PENSTOCK_STORE_SQLITE_VFS_H

/* Its name, for sqlite3_open_v2; registered at the first call. Threads: not two at once. */
const char *sqlite_vfs_name(void);

#endif
