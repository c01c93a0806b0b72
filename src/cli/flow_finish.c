/* flow_finish.c: see flow_finish.h; the mail is in flow_mail.c. */
#include "cli/flow_finish.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/spawn.h"
#include "cli/flow_body.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTES ".penstock-logs"
enum { DAY_S = 86400, NOTES_MAX_BYTES = 64 << 20, COPY_BYTES = 64 << 10 };

/* ---- programs ---- */

bool flow_finish_run(const char *const *argv, const char *const *environment, const char *what,
                     struct err *err)
{
    pid_t pid = -1;
    int status = 0;
    const struct spawn_plan plan = {.argv = argv,
                                    .stdin_fd = -1,
                                    .stdout_fd = STDERR_FILENO,
                                    .stderr_fd = STDERR_FILENO,
                                    .environment = environment};
    if (!spawn_start(&plan, &pid, err))
        return err_add(err, "%s", what);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, "%s", what);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status))
        return err_set(err, ERR_IO, "%s was killed by signal %d", what, WTERMSIG(status));
    return err_set(err, ERR_IO, "%s ended with status %d", what, WEXITSTATUS(status));
}

struct ids {
    struct buf *out;
};

static void add_id(void *context, const struct flow_node *node)
{
    struct buf *out = ((struct ids *)context)->out;
    buf_add_format(out, "%s%d", out->len && out->data[out->len - 1] != '=' ? "," : "",
                   (int)node->id);
}

/* NAME=1,4,7 of the nodes with a mark. */
static char *ids_variable(const struct flow_finished *f, const char *name, char mark)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    buf_add_format(&text, "%s=", name);
    flow_mirror_each(f->mirror, mark, add_id, &(struct ids){&text});
    return buf_take(&text);
}

bool flow_finish_command(const struct flow_finished *f, struct err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", f->settings->on_finish, NULL};
    char *own[] = {xasprintf("FLOW_NAME=%s", f->name),
                   xasprintf("FLOW_STATE=%s", f->state),
                   xasprintf("FLOW_EXIT_STATUS=%d", f->exit_status),
                   xasprintf("FLOW_SECONDS=%.3f", f->elapsed_s),
                   ids_variable(f, "FLOW_FAILED", 'F'),
                   ids_variable(f, "FLOW_ABORTED", 'A')};
    enum { OWN = sizeof own / sizeof *own };
    const struct flow_place *p = f->place;
    OWNED_MEM const char **environment = xcalloc(p->count + OWN + 1, sizeof *environment);
    for (size_t i = 0; i < p->count; i++)
        environment[i] = p->variables[i];
    for (size_t i = 0; i < OWN; i++)
        environment[p->count + i] = own[i];
    bool good = flow_finish_run(argv, environment, "the command of --on-finish", err);
    for (size_t i = 0; i < OWN; i++)
        free(own[i]);
    return good;
}

/* ---- logs ---- */

/* Each log once, absolute, of nodes with the mark ('\0': of all that have begun). */
struct logs {
    struct flow_place *place;
    char *here;
    char **paths;
    size_t count, room;
};

static void add_log(void *context, const struct flow_node *node)
{
    struct logs *l = context;
    OWNED_MEM char *path = flow_node_log(node, l->place, l->here ? l->here : "");
    if (access(path, F_OK) != 0)
        return;
    if (l->count + 1 >= l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->paths = xrealloc(l->paths, l->room * sizeof *l->paths);
    }
    l->paths[l->count++] = TAKE(path);
    l->paths[l->count] = NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void collect(const struct flow_finished *f, const char *marks, struct logs *l)
{
    size_t kept = 0;
    *l = (struct logs){.place = f->place, .here = getcwd(NULL, 0)};
    for (; *marks; marks++)
        flow_mirror_each(f->mirror, *marks, add_log, l);
    if (l->count)
        qsort(l->paths, l->count, sizeof *l->paths, compare);
    for (size_t i = 0; i < l->count; i++) {
        if (kept && strcmp(l->paths[kept - 1], l->paths[i]) == 0)
            free(l->paths[i]);
        else
            l->paths[kept++] = l->paths[i];
    }
    l->count = kept;
    if (l->paths)
        l->paths[kept] = NULL;
}

static void logs_release(struct logs *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->paths[i]);
    free(l->paths);
    free(l->here);
}

static void copy_to_stderr(const char *path)
{
    char bytes[COPY_BYTES];
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n = 1; fd >= 0 && n > 0;) {
        n = read(fd, bytes, sizeof bytes);
        if (n > 0)
            fwrite(bytes, 1, (size_t)n, stderr);
    }
}

void flow_finish_dump(const struct flow_finished *f)
{
    struct logs logs;
    collect(f, "F", &logs);
    for (size_t i = 0; i < logs.count; i++) {
        fprintf(stderr, "---- %s\n", logs.paths[i]);
        copy_to_stderr(logs.paths[i]);
    }
    logs_release(&logs);
}

static const char *zip_word(const struct flow_finished *f)
{
    return strcmp(f->state, "completed") == 0 ? "SUCCESS"
           : strcmp(f->state, "failed") == 0  ? "FAILURE"
                                              : "ABORT";
}

bool flow_finish_zip(const struct flow_finished *f, struct err *err)
{
    enum { FIXED = 5 };
    struct logs logs;
    if (!f->python)
        return err_set(err, ERR_NOT_FOUND, "the logs are packed by Python, which is not here");
    collect(f, "CFA", &logs);
    OWNED_MEM char *zip =
        xasprintf("%s/%s_%s_%s.zip", flow_place_lookup(f->place, "APP_LOG_DIR"), f->name,
                  flow_place_lookup(f->place, "APP_EXEC_TIMESTAMP"), zip_word(f));
    OWNED_MEM const char **argv = xcalloc(logs.count + FIXED + 2, sizeof *argv);
    size_t to = 0;
    argv[to++] = f->python;
    argv[to++] = "-m";
    argv[to++] = "zipfile";
    argv[to++] = "-c";
    argv[to++] = zip;
    for (size_t i = 0; i < logs.count; i++)
        argv[to++] = logs.paths[i];
    if (f->ctllog)
        argv[to++] = f->ctllog;
    bool good = flow_finish_run(argv, NULL, "the program that packs the logs", err);
    logs_release(&logs);
    return good;
}

/* ---- retention ---- */

/* In each folder of logs a file names those of it that were written. */
static bool note_logs(const struct flow_finished *f, struct err *err)
{
    struct logs logs;
    const char *folder = flow_place_lookup(f->place, "APP_LOG_DIR");
    OWNED_MEM char *whole = realpath(folder, NULL);
    OWNED_MEM char *path = xasprintf("%s/" NOTES, folder);
    size_t len = whole ? strlen(whole) : 0;
    FILE *out = fopen(path, "ae");
    if (!out)
        return err_errno(err, errno, "write %s", path);
    collect(f, "CFA", &logs);
    for (size_t i = 0; i < logs.count; i++)
        if (len && strncmp(logs.paths[i], whole, len) == 0 && logs.paths[i][len] == '/' &&
            !strchr(logs.paths[i] + len + 1, '/') && !strchr(logs.paths[i], '\n'))
            fprintf(out, "%s\n", logs.paths[i] + len + 1);
    logs_release(&logs);
    return fclose(out) == 0 || err_errno(err, errno, "write %s", path);
}

static bool is_older(int dir_fd, const char *name, int64_t limit_s)
{
    struct stat status;
    return fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           status.st_mtime < limit_s;
}

/* Removes from a folder what its notes name and is older; then the notes, and the folder itself if
 * nothing is left in it. */
static void clean_folder(const char *path, int64_t limit_s)
{
    OWNED_BUF struct buf text;
    struct err ignored;
    OWNED_MEM char *notes = xasprintf("%s/" NOTES, path);
    OWNED_FD int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    buf_init(&text, NOTES_MAX_BYTES);
    if (dir_fd < 0 || !is_older(dir_fd, NOTES, limit_s) ||
        !file_read_all(notes, NOTES_MAX_BYTES, &text, &ignored))
        return;
    for (struct str rest = buf_str(&text); rest.len;) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        OWNED_MEM char *name = xstrndup(rest.ptr, len);
        if (*name && !strchr(name, '/') && is_older(dir_fd, name, limit_s))
            (void)unlinkat(dir_fd, name, 0);
        len += end != NULL;
        rest = (struct str){rest.ptr + len, rest.len - len};
    }
    (void)unlinkat(dir_fd, NOTES, 0);
    (void)rmdir(path);
}

bool flow_finish_retain(const struct flow_finished *f, struct err *err)
{
    const char *root = flow_place_lookup(f->place, "APP_ROOT_LOG_DIR");
    int64_t limit_s = clock_now().wall_us / 1000000 - f->settings->log_retention_days * DAY_S;
    if (!note_logs(f, err))
        return false;
    DIR *folder = opendir(root);
    if (!folder)
        return err_errno(err, errno, "look for old logs in %s", root);
    for (struct dirent *d = NULL; (d = readdir(folder));) {
        OWNED_MEM char *path = xasprintf("%s/%s", root, d->d_name);
        if (strcmp(d->d_name, "..") != 0)
            clean_folder(path, limit_s);
    }
    closedir(folder);
    return true;
}
