/* flow_place.c: see flow_place.h. */
#include "cli/flow_place.h"

#include "base/file.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROBLEMS_SHOWN = 50, READ_BYTES = 65536 };
static const size_t list_max_bytes = (size_t)1 << 30, profile_max_bytes = (size_t)16 << 20;

const struct option flow_place_options[] = {
    {.name = "list", .letter = 'l', .value = "FILE", .help = "the task list, in place of LIST"},
    {.name = "profile",
     .letter = 'c',
     .value = "FILE",
     .help = "bash file whose APP_ variables hold; app_profile beside the list if it is there"},
    {.name = "env", .value = "NAME=VALUE", .help = "sets a variable", .many = true},
    {0},
};

/* ---- variables ---- */

static size_t name_length(const char *assignment)
{
    return strcspn(assignment, "=");
}

static char **find(const struct flow_place *p, const char *name, size_t len)
{
    for (size_t i = 0; i < p->count; i++)
        if (name_length(p->variables[i]) == len && strncmp(p->variables[i], name, len) == 0)
            return &p->variables[i];
    return NULL;
}

const char *flow_place_lookup(void *place, const char *name)
{
    size_t len = strlen(name);
    char **found = find(place, name, len);
    return found ? *found + len + 1 : NULL;
}

/* Takes the text NAME=VALUE over. */
static void set(struct flow_place *p, char *assignment)
{
    char **old = find(p, assignment, name_length(assignment));
    if (old) {
        free(*old);
        *old = assignment;
        return;
    }
    if (p->count + 1 >= p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->variables = xrealloc(p->variables, p->room * sizeof *p->variables);
    }
    p->variables[p->count++] = assignment;
    p->variables[p->count] = NULL;
}

static void set_default(struct flow_place *p, const char *name, char *value)
{
    const char *now = flow_place_lookup(p, name);
    if (!now || !*now)
        set(p, xasprintf("%s=%s", name, value));
    free(value);
}

static const char *value_of(struct flow_place *p, const char *name)
{
    const char *value = flow_place_lookup(p, name);
    return value ? value : "";
}

/* Names the folder from the root: the socket of the state in it must be. */
static void set_whole(struct flow_place *p, const char *name)
{
    const char *value = value_of(p, name);
    OWNED_MEM char *here = *value == '/' ? NULL : getcwd(NULL, 0);
    if (here)
        set(p, xasprintf("%s=%s/%s", name, here, value));
}

/* ---- the profile ---- */

/* The environment that it leaves, each variable ended by NUL; also when it ends by `exit`. */
static const char script[] = "set -a; trap 'env -0 >&3' EXIT; . \"$0\" >&2 3>&-";

static bool reap(pid_t pid, const char *path, struct err *err)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, "wait for the profile %s", path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status))
        return err_set(err, ERR_INVALID, "the profile %s ended with status %d", path,
                       WEXITSTATUS(status));
    return err_set(err, ERR_INVALID, "the profile %s was killed by signal %d", path,
                   WTERMSIG(status));
}

static bool read_pipe(int fd, struct buf *out, const char *path, struct err *err)
{
    for (;;) {
        if (!buf_reserve(out, READ_BYTES))
            return err_set(err, ERR_LIMIT, "the profile %s makes a very large environment", path);
        ssize_t got = read(fd, out->data + out->len, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read the profile %s", path);
        if (got == 0)
            return true;
        out->len += (size_t)got;
    }
}

static bool run_profile(const char *path, const char *const *by_hand, struct buf *out,
                        struct err *err)
{
    OWNED_MEM char *whole = realpath(path, NULL);
    int ends[2];
    pid_t pid = -1;
    if (!whole)
        return err_set(err, ERR_INVALID, "profile %s: %s", path, strerror(errno));
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    const char *const argv[] = {"/bin/bash", "-c", script, whole, NULL};
    struct spawn_plan plan = {.argv = argv,
                              .stdin_fd = -1,
                              .stdout_fd = STDERR_FILENO,
                              .stderr_fd = STDERR_FILENO,
                              .control_fd = ends[1],
                              .environment = by_hand};
    bool started = spawn_start(&plan, &pid, err);
    close(ends[1]);
    bool read_well = started && read_pipe(ends[0], out, path, err);
    close(ends[0]);
    struct err ended;
    if (!started || reap(pid, path, &ended))
        return read_well;
    if (read_well)
        *err = ended;
    return false;
}

/* What begins with APP_ holds; all else of the profile is its own business. */
static bool take_profile(struct flow_place *p, const char *path, const char *const *by_hand,
                         struct err *err)
{
    OWNED_BUF struct buf got;
    buf_init(&got, profile_max_bytes);
    if (!run_profile(path, by_hand, &got, err))
        return false;
    for (size_t at = 0; at < got.len;) {
        size_t len = strnlen(got.data + at, got.len - at);
        if (len > 4 && strncmp(got.data + at, "APP_", 4) == 0 && memchr(got.data + at, '=', len))
            set(p, xstrndup(got.data + at, len));
        at += len + 1;
    }
    return true;
}

/* ---- defaults ---- */

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static char *worker_folder(const char *root)
{
    static const char *const names[] = {"python", "workers", "worker"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        OWNED_MEM char *path = xasprintf("%s/%s", root, names[i]);
        if (is_folder(path))
            return TAKE(path);
    }
    return xasprintf("%s/%s", root, names[0]);
}

static char *time_text(const char *format)
{
    char text[64];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(text, sizeof text, format, &parts);
    return xstrdup(text);
}

/* The folder that the list is in, without links. */
static bool folder_of(const char *list, char **out, struct err *err)
{
    const char *slash = strrchr(list, '/');
    OWNED_MEM char *folder = slash ? xstrndup(list, (size_t)(slash - list) + 1) : xstrdup(".");
    *out = realpath(folder, NULL);
    return *out || err_set(err, ERR_INVALID, "%s:1:1: error: FILE: %s", list, strerror(errno));
}

static char *list_name(const char *list)
{
    const char *slash = strrchr(list, '/'), *name = slash ? slash + 1 : list;
    size_t len = strlen(name);
    if (len > 4 && strcmp(name + len - 4, ".lst") == 0)
        len -= 4;
    return xstrndup(name, len);
}

static void set_defaults(struct flow_place *p, const char *folder)
{
    const char *last = strrchr(folder, '/');
    bool inside = last && strcmp(last + 1, "config") == 0;
    size_t parent = inside && last > folder ? (size_t)(last - folder) : inside ? 1 : strlen(folder);
    set_default(p, "APP_NAME", list_name(p->list));
    set_default(p, "APP_CONFIG_DIR", xstrdup(folder));
    set_default(p, "APP_ROOT_DIR", xstrndup(folder, parent));
    const char *root = value_of(p, "APP_ROOT_DIR");
    set_default(p, "APP_WORKER_DIR", worker_folder(root));
    set_default(p, "APP_ROOT_LOG_DIR", xasprintf("%s/logs", root));
    OWNED_MEM char *today = time_text("%Y-%m-%d");
    set_default(p, "APP_LOG_DIR", xasprintf("%s/%s", value_of(p, "APP_ROOT_LOG_DIR"), today));
    set_default(p, "APP_TEMP_DIR", xasprintf("%s/temp", root));
    set_whole(p, "APP_TEMP_DIR");
    set_default(p, "APP_EXEC_TIMESTAMP", time_text("%Y%m%d_%H%M%S"));
    set_default(p, "APP_VERSION", xstrdup("0.0.0"));
}

/* ---- all of it ---- */

static bool find_list(struct flow_place *p, const struct options *options, struct err *err)
{
    const char *named = options_text(options, "list"), *argument = options_argument(options, 0);
    if (named && argument)
        return err_set(err, ERR_INVALID, "the task list is named twice: %s and --list %s", argument,
                       named);
    if (!named && !argument)
        return err_set(err, ERR_INVALID, "which task list? name its .lst file");
    p->list = xstrdup(named ? named : argument);
    return true;
}

/* What --env says, ended by NULL. The array is to be freed, its texts are the options'. */
static bool read_by_hand(const struct options *options, const char ***out, struct err *err)
{
    size_t count = options_count(options, "env");
    OWNED_MEM const char **list = xcalloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = options_at(options, "env", i);
        if (list[i][0] == '=' || !strchr(list[i], '='))
            return err_set(err, ERR_INVALID, "--env: expected NAME=VALUE, not \"%s\"", list[i]);
    }
    *out = TAKE(list);
    return true;
}

static bool find_profile(struct flow_place *p, const struct options *options, const char *folder,
                         const char *const *by_hand, struct err *err)
{
    const char *named = options_text(options, "profile");
    OWNED_MEM char *beside = xasprintf("%s/app_profile", folder);
    if (!named && access(beside, F_OK) != 0)
        return true;
    return take_profile(p, named ? named : beside, by_hand, err);
}

bool flow_place_read(struct flow_place *p, const struct options *options, struct err *err)
{
    OWNED_MEM char *folder = NULL;
    OWNED_MEM const char **by_hand = NULL;
    *p = (struct flow_place){0};
    if (!find_list(p, options, err) || !folder_of(p->list, &folder, err) ||
        !read_by_hand(options, &by_hand, err))
        return false;
    for (char **variable = environ; *variable; variable++)
        if (strchr(*variable, '='))
            set(p, xstrdup(*variable));
    /* The profile sees what was set by hand, and does not change it. */
    if (!find_profile(p, options, folder, by_hand, err))
        return false;
    for (size_t i = 0; by_hand[i]; i++)
        set(p, xstrdup(by_hand[i]));
    p->given = p->count;
    set_defaults(p, folder);
    return true;
}

bool flow_place_keep(struct flow_place *p, const char *name, const char *value)
{
    char **found = find(p, name, strlen(name));
    /* What somebody set, also to nothing, stands among the first. */
    if (found && (size_t)(found - p->variables) < p->given)
        return false;
    set(p, xasprintf("%s=%s", name, value));
    return true;
}

void flow_place_release(struct flow_place *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->variables[i]);
    free(p->variables);
    free(p->list);
    *p = (struct flow_place){0};
}

static void print_problems(const char *list, const struct flow_problems *problems)
{
    for (size_t i = 0; i < problems->count && i < PROBLEMS_SHOWN; i++) {
        const struct flow_problem *q = &problems->items[i];
        fprintf(stderr, "%s:%u:%u: %s: %s: %s\n", list, q->line, q->column,
                q->warning ? "warning" : "error", q->field, q->text);
    }
    if (problems->count > PROBLEMS_SHOWN)
        fprintf(stderr, "%s: %zu more problems\n", list, problems->count - PROBLEMS_SHOWN);
}

bool flow_place_load(struct flow_place *p, struct flow *out, struct err *err)
{
    return flow_place_load_as(p, false, out, err);
}

bool flow_place_check(struct flow_place *p, bool json, struct flow *out,
                      struct flow_problems *problems, struct err *err)
{
    OWNED_BUF struct buf text;
    struct err unread;
    *out = (struct flow){0};
    buf_init(&text, list_max_bytes);
    bool good = file_read_all(p->list, list_max_bytes, &text, &unread);
    if (good)
        good = (json ? flow_read_json : flow_read)(buf_str(&text), flow_place_lookup, p, out,
                                                   problems);
    else
        flow_problem_add(problems, &(struct flow_problem){1, 1, false, "FILE", NULL}, "%s",
                         unread.text);
    return good || err_set(err, ERR_INVALID, "%s: %zu error%s, nothing was started", p->list,
                           problems->errors, problems->errors == 1 ? "" : "s");
}

bool flow_place_load_as(struct flow_place *p, bool json, struct flow *out, struct err *err)
{
    struct flow_problems problems = {0};
    bool good = flow_place_check(p, json, out, &problems, err);
    print_problems(p->list, &problems);
    flow_problems_release(&problems);
    return good;
}
