/* run_place.c: see run_place.h. */
#include "cli/run_place.h"

#include "cli/engine_host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A socket's address has room for so many bytes of path. */
enum { SOCKET_PATH_MAX = 107 };

struct run_place {
    struct folders *folders;
    struct programs *readers, *writers; /* standard input and output */
    struct engine_host *host;
    char *dir, *url;
    bool temporary;
};

static bool unwritable(const char *path, int number, struct err *err)
{
    err_errno(err, number, "%s cannot be written", path);
    /* What was asked for is not possible: that is for the person to change. */
    if (err->code == ERR_IO || err->code == ERR_NOT_FOUND)
        err->code = ERR_INVALID;
    return false;
}

bool run_make_folders(const char *path, struct err *err)
{
    OWNED_MEM char *folder = xstrdup(path);
    for (char *slash = folder + 1; *folder && (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return unwritable(path, errno, err);
    }
    return true;
}

bool run_path_of_input(const char *path, char **out, struct err *err)
{
    if (strcmp(path, "-") == 0) {
        *out = xstrdup(path);
        return true;
    }
    char *whole = realpath(path, NULL);
    if (!whole) {
        int number = errno;
        err_errno(err, number, "input %s cannot be read", path);
        return err_set(err, ERR_INVALID, "input %s: %s", path, strerror(number));
    }
    struct stat st;
    if (stat(whole, &st) == 0 && S_ISDIR(st.st_mode)) {
        free(whole);
        return err_set(err, ERR_INVALID,
                       "input %s is a folder; name its files, or a pattern such "
                       "as '%s/*.jsonl'",
                       path, path);
    }
    if (access(whole, R_OK) != 0) {
        int number = errno;
        free(whole);
        return err_set(err, ERR_INVALID, "input %s: %s", path, strerror(number));
    }
    *out = whole;
    return true;
}

bool run_path_of_output(const char *path, const char *what, char **out, struct err *err)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    struct stat st;
    if (strcmp(path, "-") == 0) {
        *out = xstrdup(path);
        return true;
    }
    if (!*base || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return err_set(err, ERR_INVALID, "%s %s is a folder; name a file", what, path);
    OWNED_MEM char *whole = realpath(path, NULL);
    if (whole) {
        *out = TAKE(whole);
        return true;
    }
    OWNED_MEM char *named = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    OWNED_MEM char *folder = realpath(named, NULL);
    if (!folder)
        return unwritable(path, errno, err) || err_add(err, "%s", what);
    *out = xasprintf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, base);
    return true;
}

/* Only processes of this user come here: the folder is closed to others. By way of our descriptor
 * the address is short, whatever the path. */
static char *url_of(const struct run_place *p)
{
    OWNED_MEM char *path = xasprintf("%s/penstock.sock", p->dir);
    if (strlen(path) <= SOCKET_PATH_MAX)
        return xasprintf("unix://%s", path);
    return xasprintf("unix:///proc/%ld/fd/%d/penstock.sock", (long)getpid(),
                     engine_host_state_fd(p->host));
}

static bool open_engine(struct run_place *p, struct err *err)
{
    const struct engine_options options = {
        .state_dir = p->dir, .folders = p->folders, .readers = p->readers, .writers = p->writers};
    struct server_options http;
    if (!programs_add_fd(p->readers, RUN_STDIN, STDIN_FILENO, err) ||
        !programs_add_fd(p->writers, RUN_STDOUT, STDOUT_FILENO, err))
        return false;
    if (!engine_host_open(&options, &p->host, err))
        return false;
    server_options_init(&http);
    return engine_host_serve(p->host, &http, err);
}

static bool make_temporary(struct run_place *p, struct err *err)
{
    const char *folder = getenv("TMPDIR");
    p->dir = xasprintf("%s/penstock-run-XXXXXX", folder && *folder ? folder : "/tmp");
    p->temporary = mkdtemp(p->dir) != NULL;
    return p->temporary || err_errno(err, errno, "make a folder %s", p->dir);
}

static bool make_beside(struct run_place *p, const char *output, struct err *err)
{
    OWNED_MEM char *whole = NULL;
    if (!run_make_folders(output, err) || !run_path_of_output(output, "output", &whole, err))
        return false;
    p->dir = xasprintf("%s.penstock", whole);
    if (mkdir(p->dir, 0700) != 0 && errno != EEXIST)
        return unwritable(output, errno, err);
    struct stat st;
    if (stat(p->dir, &st) == 0 && !S_ISDIR(st.st_mode))
        return unwritable(p->dir, ENOTDIR, err);
    return access(p->dir, W_OK | X_OK) == 0 || unwritable(p->dir, errno, err);
}

static bool use_folder(struct run_place *p, const char *dir, struct err *err)
{
    p->dir = xstrdup(dir);
    if (!run_make_folders(dir, err))
        return false;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return unwritable(dir, errno, err);
    return access(dir, W_OK | X_OK) == 0 || unwritable(dir, errno, err);
}

static struct run_place *place_new(void)
{
    struct run_place *p = xcalloc(1, sizeof *p);
    p->readers = programs_new();
    p->writers = programs_new();
    return p;
}

/* Whoever runs the command may name any file of theirs; nobody else can ask for one. */
static bool begin(struct run_place *p, struct err *err)
{
    p->folders = folders_new();
    if (!folders_add(p->folders, "/", err) || !folders_close_off(p->folders, p->dir, err) ||
        !open_engine(p, err))
        return false;
    p->url = url_of(p);
    return true;
}

bool run_place_open(const char *output, struct run_place **out, struct err *err)
{
    OWNED(run_place) struct run_place *p = place_new();
    if (!(strcmp(output, "-") == 0 ? make_temporary(p, err) : make_beside(p, output, err)))
        return false;
    if (!begin(p, err)) {
        if (err->code == ERR_BUSY)
            err_add(err, "another run works on %s", output);
        return false;
    }
    *out = TAKE(p);
    return true;
}

bool run_place_open_at(const char *dir, struct run_place **out, struct err *err)
{
    OWNED(run_place) struct run_place *p = place_new();
    if (!(dir ? use_folder(p, dir, err) : make_temporary(p, err)) || !begin(p, err))
        return false;
    *out = TAKE(p);
    return true;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    (void)remove(path); /* what stays is seen when its folder does */
    return 0;
}

static void remove_folder(const char *path)
{
    enum { DESCRIPTORS = 8 };
    (void)nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

void run_place_free(struct run_place *p)
{
    if (!p)
        return;
    engine_host_free(p->host);
    programs_free(p->readers);
    programs_free(p->writers);
    folders_free(p->folders);
    if (p->temporary)
        remove_folder(p->dir);
    free(p->dir);
    free(p->url);
    free(p);
}

const char *run_place_url(const struct run_place *p)
{
    return p->url;
}
