/* folder.c: see folder.h.
 *
 * A path is first brought to its normal form as text, then opened by that form alone, so that the
 * name two jobs are compared by and the file they open cannot differ. What the text says is not
 * trusted: the kernel resolves it beneath the folder's descriptor and refuses every way out. */
#include "io/folder.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct folder {
    char *real;  /* without links and without a slash at the end; "" is the root */
    char *given; /* as the operator named it, made absolute; requests may use either */
    int fd;
};

struct folders {
    struct folder *items;
    size_t count;
    char *closed;  /* real path of the folder that is closed off, NULL */
    int closed_fd; /* the folder itself, -1 */
};

/* A path of a request, found to lie in a folder by its text. */
struct inside {
    const struct folder *folder;
    char *path; /* below it, normal form, owned */
};

static void inside_release(struct inside *in)
{
    free(in->path);
}

#define OWNED_INSIDE __attribute__((cleanup(inside_release)))

struct folders *folders_new(void)
{
    struct folders *f = xcalloc(1, sizeof *f);
    f->closed_fd = -1;
    return f;
}

void folders_free(struct folders *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        free(f->items[i].real);
        free(f->items[i].given);
        close(f->items[i].fd);
    }
    free(f->items);
    fd_drop(&f->closed_fd);
    free(f->closed);
    free(f);
}

/* The path without "", "." and ".." components and without slashes at the ends. NULL when ".."
 * leads above its beginning. */
static char *path_normal(const char *path)
{
    char *out = xcalloc(strlen(path) + 1, 1);
    size_t len = 0;
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            if (len == 0) {
                free(out);
                return NULL;
            }
            while (len && out[--len] != '/')
                ;
        } else if (part && !(part == 1 && path[0] == '.')) {
            if (len)
                out[len++] = '/';
            memcpy(out + len, path, part);
            len += part;
        }
        path += part;
        path += strspn(path, "/");
    }
    out[len] = '\0';
    return out;
}

/* "/a/b" of any path, relative ones below the working directory, links kept. */
static char *path_absolute(const char *path)
{
    OWNED_MEM char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    OWNED_MEM char *joined = xasprintf("%s/%s", here ? here : "", path);
    OWNED_MEM char *normal = path_normal(joined);
    return normal && *normal ? xasprintf("/%s", normal) : xstrdup("");
}

bool folders_add(struct folders *f, const char *path, struct err *err)
{
    OWNED_MEM char *real = realpath(path, NULL);
    if (!real)
        return err_errno(err, errno, "data folder %s", path);
    OWNED_FD int fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR)
        return err_set(err, ERR_INVALID, "data folder %s is not a folder", path);
    if (fd < 0)
        return err_errno(err, errno, "data folder %s", path);
    if (strcmp(real, "/") == 0)
        real[0] = '\0';
    f->items = xrealloc(f->items, (f->count + 1) * sizeof *f->items);
    f->items[f->count++] =
        (struct folder){.real = TAKE(real), .given = path_absolute(path), .fd = TAKE_FD(fd)};
    return true;
}

bool folders_close_off(struct folders *f, const char *path, struct err *err)
{
    OWNED_MEM char *real = realpath(path, NULL);
    if (!real)
        return err_errno(err, errno, "folder %s", path);
    OWNED_FD int fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "folder %s", path);
    free(f->closed);
    fd_drop(&f->closed_fd);
    f->closed = TAKE(real);
    f->closed_fd = TAKE_FD(fd);
    return true;
}

/* What of `path` lies below `folder`, NULL when it does not. Both absolute, `path` without a
 * leading slash. */
static const char *path_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    if (len == 0)
        return path;
    if (strncmp(path, folder + 1, len - 1) != 0)
        return NULL;
    path += len - 1;
    return *path == '/' ? path + 1 : *path ? NULL : path;
}

static bool find_inside(const struct folders *f, const char *path, struct inside *out,
                        struct err *err)
{
    if (!*path)
        return err_set(err, ERR_INVALID, "the path is empty");
    if (f->count == 0)
        return err_set(err, ERR_FORBIDDEN, "there is no data folder");
    OWNED_MEM char *normal = path_normal(path);
    const char *below = path[0] == '/' ? NULL : normal;
    const struct folder *in = &f->items[0];
    /* The longest way in: of nested folders the inner one, whose place links may have changed. */
    for (size_t i = 0; normal && path[0] == '/' && i < f->count; i++) {
        const char *const names[] = {f->items[i].real, f->items[i].given};
        for (size_t k = 0; k < 2; k++) {
            const char *rest = path_below(normal, names[k]);
            if (rest && (!below || strlen(rest) < strlen(below))) {
                below = rest;
                in = &f->items[i];
            }
        }
    }
    if (!below)
        return err_set(err, ERR_FORBIDDEN, "%s is outside the data folders", path);
    if (!*below)
        return err_set(err, ERR_INVALID, "%s is a folder", path);
    *out = (struct inside){in, xstrdup(below)};
    return true;
}

static bool open_error(struct err *err, int number, const char *path)
{
    switch (number) {
    case EXDEV:
    case ELOOP:
        return err_set(err, ERR_FORBIDDEN, "%s leads out of the data folders by a link", path);
    case EACCES:
    case EPERM:
        return err_set(err, ERR_FORBIDDEN, "%s: %s", path, strerror(number));
    case EISDIR:
        return err_set(err, ERR_INVALID, "%s is a folder", path);
    case ENOTDIR:
    case ENAMETOOLONG:
        return err_set(err, ERR_INVALID, "%s: %s", path, strerror(number));
    case ENXIO:
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return err_set(err, ERR_BUSY, "%s: %s", path, strerror(number));
    default:
        return err_errno(err, number, "%s", path);
    }
}

/* openat2 beneath a folder; -1 and errno. */
static int open_beneath(int dir_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    /* EAGAIN: something was renamed while the kernel looked, so it could not be sure. */
    for (int tries = 0; tries < 100; tries++) {
        long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return (int)fd;
    }
    return -1;
}

/* Whether the open descriptor is a file; else the error. */
static bool must_be_file(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return err_errno(err, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is a folder", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    return true;
}

/* Where the kernel says that it lies; NULL when it does not. To be freed. */
static char *place_of(int fd)
{
    char link[64], place[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, place, sizeof place - 1);
    return len < 0 ? NULL : xstrndup(place, (size_t)len);
}

/* Whether what is open lies in the folder that is closed off; the kernel says where it lies. */
static bool is_closed_off(const struct folders *f, int fd)
{
    if (!f->closed)
        return false;
    OWNED_MEM char *place = place_of(fd);
    if (!place)
        return true; /* what cannot be told is not opened */
    size_t closed = strlen(f->closed);
    return strncmp(place, f->closed, closed) == 0 && (!place[closed] || place[closed] == '/');
}

/* Whether the folder that is closed off has an entry for this very file. */
static bool has_entry(int dir_fd, const struct stat *file)
{
    bool found = false;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fd_drop(&fd);
        return true; /* what cannot be told is not opened */
    }
    for (const struct dirent *entry = NULL; !found && (entry = readdir(dir));) {
        struct stat st;
        found = entry->d_ino == file->st_ino &&
                fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                st.st_dev == file->st_dev;
    }
    closedir(dir);
    return found;
}

/* A second name (a hard link) leads to a file of the closed folder from anywhere, and no place
 * tells. Names are rare enough to look for it among those that are closed off. */
static bool is_closed_file(const struct folders *f, int fd)
{
    struct stat st;
    if (f->closed_fd < 0)
        return false;
    if (fstat(fd, &st))
        return true;
    return S_ISREG(st.st_mode) && st.st_nlink > 1 && has_entry(f->closed_fd, &st);
}

static bool must_be_open(const struct folders *f, int fd, const char *path, struct err *err)
{
    if (is_closed_off(f, fd))
        return err_set(err, ERR_FORBIDDEN, "%s lies in the state folder", path);
    return !is_closed_file(f, fd) ||
           err_set(err, ERR_FORBIDDEN, "%s is a file of the state folder by another name", path);
}

/* Looks before it opens: opening a FIFO or a device can block or set something off. A path that is
 * missing is fine here. */
static bool look(const struct folders *f, const struct inside *in, const char *path,
                 struct err *err)
{
    OWNED_FD int fd = open_beneath(in->folder->fd, in->path, O_PATH);
    bool missing = fd < 0 && errno == ENOENT;
    if (missing) {
        const char *slash = strrchr(in->path, '/');
        OWNED_MEM char *parent =
            slash ? xstrndup(in->path, (size_t)(slash - in->path)) : xstrdup(".");
        fd = open_beneath(in->folder->fd, parent, O_PATH);
        if (fd < 0 && errno == ENOENT)
            return true;
    }
    if (fd < 0)
        return open_error(err, errno, path);
    return must_be_open(f, fd, path, err) && (missing || must_be_file(fd, path, err));
}

/* The name of what is open beneath the folder, and of `base` in it when that is not NULL. Links are
 * resolved by the kernel, so that they give a file no second name. A folder that was moved keeps
 * the name it had when it was added. */
static bool inside_name(const struct inside *in, int fd, const char *base, char **name,
                        struct err *err)
{
    OWNED_MEM char *root = place_of(in->folder->fd);
    OWNED_MEM char *place = place_of(fd);
    size_t len = root && strcmp(root, "/") != 0 ? strlen(root) : 0;
    if (!root || !place || strncmp(place, root, len) != 0 || (place[len] && place[len] != '/'))
        return err_set(err, ERR_CONFLICT, "%s was moved while it was looked at", in->path);
    const char *below = place[len] == '/' && !place[len + 1] ? "" : place + len;
    *name = base ? xasprintf("%s%s/%s", in->folder->real, below, base)
                 : xasprintf("%s%s", in->folder->real, below);
    return true;
}

bool folders_open(const struct folders *f, const char *path, int flags, int *fd, char **name,
                  struct err *err)
{
    OWNED_INSIDE struct inside in = {0};
    if (!find_inside(f, path, &in, err) || !look(f, &in, path, err))
        return false;
    /* Not blocking, should it have become a FIFO since; on a file the flag has no effect. */
    OWNED_FD int opened = open_beneath(in.folder->fd, in.path, flags | O_NONBLOCK | O_NOCTTY);
    if (opened < 0)
        return open_error(err, errno, path);
    if (!must_be_file(opened, path, err) || !must_be_open(f, opened, path, err) ||
        (name && !inside_name(&in, opened, NULL, name, err)))
        return false;
    *fd = TAKE_FD(opened);
    return true;
}

/* Opens the folder that the file lies in; *base is its last component, borrowed from `in`. */
static bool open_parent(const struct folders *f, const struct inside *in, const char *path,
                        int *dir_fd, const char **base, struct err *err)
{
    const char *slash = strrchr(in->path, '/');
    OWNED_MEM char *parent = slash ? xstrndup(in->path, (size_t)(slash - in->path)) : xstrdup(".");
    OWNED_FD int fd = open_beneath(in->folder->fd, parent, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s: there is no such folder", path)
                               : open_error(err, errno, path);
    if (is_closed_off(f, fd))
        return err_set(err, ERR_FORBIDDEN, "%s lies in the state folder", path);
    *dir_fd = TAKE_FD(fd);
    *base = slash ? slash + 1 : in->path;
    return true;
}

bool folders_name(const struct folders *f, const char *path, char **name, struct err *err)
{
    OWNED_INSIDE struct inside in = {0};
    if (!find_inside(f, path, &in, err) || !look(f, &in, path, err))
        return false;
    OWNED_FD int fd = open_beneath(in.folder->fd, in.path, O_PATH);
    if (fd >= 0)
        return inside_name(&in, fd, NULL, name, err);
    /* What a link to nothing would make a file of is found out by making it only. */
    OWNED_FD int link_fd = open_beneath(in.folder->fd, in.path, O_PATH | O_NOFOLLOW);
    if (link_fd >= 0)
        return err_set(err, ERR_INVALID, "%s is a link that leads nowhere", path);
    OWNED_FD int dir_fd = -1;
    const char *base = NULL;
    return open_parent(f, &in, path, &dir_fd, &base, err) &&
           inside_name(&in, dir_fd, base, name, err);
}

bool folders_file_id(const struct folders *f, const char *path, struct file_id *id)
{
    OWNED_INSIDE struct inside in = {0};
    struct err none;
    struct file_look seen;
    if (!find_inside(f, path, &in, &none))
        return false;
    OWNED_FD int fd = open_beneath(in.folder->fd, in.path, O_PATH);
    if (fd < 0 || !file_look(fd, NULL, &seen))
        return false;
    *id = (struct file_id){seen.device, seen.inode, seen.names > 1};
    return true;
}

bool file_id_same(const struct file_id *a, const struct file_id *b)
{
    return a->device == b->device && a->inode == b->inode;
}

bool folders_open_parent(const struct folders *f, const char *path, int *dir_fd, char **base_name,
                         struct err *err)
{
    OWNED_INSIDE struct inside in = {0};
    const char *base = NULL;
    if (!find_inside(f, path, &in, err) || !open_parent(f, &in, path, dir_fd, &base, err))
        return false;
    *base_name = xstrdup(base);
    return true;
}
