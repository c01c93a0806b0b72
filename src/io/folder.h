/* folder.h: the data folders: the only places whose files a request can name.
 *
 * A path in a request is absolute below a folder, or relative to the first one. It is opened by
 * openat2 with RESOLVE_BENEATH, so that neither `..` nor a symbolic link leads out. Threads: any
 * once the folders are added. */
#ifndef PENSTOCK_IO_FOLDER_H
#define PENSTOCK_IO_FOLDER_H

#include "base/err.h"
#include "base/own.h"

#include <stdint.h>
#include <sys/types.h>

struct folders;

struct folders *folders_new(void);
void folders_free(struct folders *f);
DEFINE_OWNED(folders)
/* Adds an existing folder. ERR_NOT_FOUND, ERR_INVALID when it is no folder, ERR_IO. */
MUST_CHECK bool folders_add(struct folders *f, const char *path, struct err *err);
/* Closes an existing folder off, wherever it lies: nothing in it can be named, not by a symbolic
 * or hard link either (ERR_FORBIDDEN). For the state folder, which may well lie in a data folder.
 * ERR_NOT_FOUND, ERR_IO. */
MUST_CHECK bool folders_close_off(struct folders *f, const char *path, struct err *err);
/* Opens a file. `flags` as for open(2), O_CLOEXEC is added, new files get mode 0644. *name (may be
 * NULL) becomes the normal form, "<folder>/<path without links, . and //>", to be freed: two paths
 * to one name give the same form. Errors: ERR_FORBIDDEN outside every folder or by way of a link,
 * ERR_NOT_FOUND, ERR_INVALID for a folder or other non-file (FIFOs and devices are never opened),
 * ERR_IO, ERR_BUSY when descriptors are used up. */
MUST_CHECK bool folders_open(const struct folders *f, const char *path, int flags, int *fd,
                             char **name, struct err *err);
/* Normal form of a path whose file need not exist; its folder must. Same errors; ERR_INVALID also
 * for a link to what does not exist. */
MUST_CHECK bool folders_name(const struct folders *f, const char *path, char **name,
                             struct err *err);
/* What tells two files apart, whatever names they have. */
struct file_id {
    dev_t device;
    ino_t inode;
    bool many_names; /* hard links: other normal forms lead to it */
};
/* False when there is no such file, or none that may be named. */
bool folders_file_id(const struct folders *f, const char *path, struct file_id *id);
bool file_id_same(const struct file_id *a, const struct file_id *b);
/* Opens the folder that a file lies in (for fsync, unlinkat), and gives its last component, to be
 * freed. */
MUST_CHECK bool folders_open_parent(const struct folders *f, const char *path, int *dir_fd,
                                    char **base_name, struct err *err);

#endif
