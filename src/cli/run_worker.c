/* run_worker.c: see run_worker.h. */
#include "cli/run_worker.h"

#include "run/worker_message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add(char ***list, char *text)
{
    size_t count = 0;
    while (*list && (*list)[count])
        count++;
    *list = xrealloc(*list, (count + 2) * sizeof **list);
    (*list)[count] = text;
    (*list)[count + 1] = NULL;
}

static void add_i64(char ***list, const char *option, int64_t number)
{
    if (number <= 0)
        return;
    add(list, xstrdup(option));
    add(list, xasprintf("%lld", (long long)number));
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* A name without a slash is looked for as a shell does; NULL when it is not found. */
static char *find_program(const char *name)
{
    if (strchr(name, '/'))
        return is_program(name) ? xstrdup(name) : NULL;
    const char *path = getenv("PATH");
    for (path = path ? path : "/usr/bin:/bin"; *path;) {
        int len = (int)strcspn(path, ":");
        char *there = xasprintf("%.*s/%s", len, path, name);
        if (len > 0 && is_program(there))
            return there;
        free(there);
        path += len + (path[len] == ':');
    }
    return NULL;
}

/* The folder in which this program lies, without links; NULL when that cannot be said. */
static char *own_folder(void)
{
    char *path = realpath("/proc/self/exe", NULL);
    char *slash = path ? strrchr(path, '/') : NULL;
    if (slash)
        *slash = '\0';
    return path;
}

static bool find_python(struct run_worker *w, const struct options *options, struct err *err)
{
    const char *asked = options_text(options, "python");
    const char *environment = getenv("VIRTUAL_ENV");
    OWNED_MEM char *folder = own_folder();
    OWNED_MEM char *active =
        environment && *environment ? xasprintf("%s/bin/python", environment) : NULL;
    OWNED_MEM char *beside = folder ? xasprintf("%s/python3", folder) : NULL;
    if (asked) {
        w->program = find_program(asked);
        return w->program || err_set(err, ERR_INVALID, "--python: %s is no program", asked);
    }
    if (active && is_program(active))
        w->program = TAKE(active);
    else if (beside && is_program(beside))
        w->program = TAKE(beside);
    else
        w->program = find_program("python3");
    return w->program ||
           err_set(err, ERR_INVALID, "no python3 was found; name one with --python PATH");
}

/* Built in its source tree, the program brings the package along. */
static void add_own_package(struct run_worker *w)
{
    OWNED_MEM char *folder = own_folder();
    OWNED_MEM char *root = folder ? xasprintf("%s/../python", folder) : NULL;
    OWNED_MEM char *package = root ? xasprintf("%s/penstock/__init__.py", root) : NULL;
    OWNED_MEM char *whole = package && access(package, R_OK) == 0 ? realpath(root, NULL) : NULL;
    const char *path = getenv("PYTHONPATH");
    if (whole)
        add(&w->environment,
            xasprintf("PYTHONPATH=%s%s%s", whole, path && *path ? ":" : "", path ? path : ""));
}

static bool init_python(struct run_worker *w, const struct run_settings *s,
                        const struct options *options, struct err *err)
{
    if (!find_python(w, options, err))
        return false;
    add(&w->argv, xstrdup(w->program));
    add(&w->argv, xstrdup("-m"));
    add(&w->argv, xstrdup("penstock.runtime"));
    add(&w->argv, xstrdup(s->target));
    if (s->config) {
        add(&w->argv, xstrdup("--config"));
        add(&w->argv, xstrdup(s->config));
    }
    add_i64(&w->argv, "--batch-size", s->batch_size);
    add_own_package(w);
    /* What is printed is seen at once, and not when a buffer is full. */
    add(&w->environment, xstrdup("PYTHONUNBUFFERED=1"));
    if (s->dry_run)
        add(&w->environment, xstrdup("PYTHONDONTWRITEBYTECODE=1"));
    return true;
}

/* The same program again, in the part of a worker. */
static void init_exec(struct run_worker *w, const struct run_settings *s)
{
    w->program = xstrdup("/proc/self/exe");
    add(&w->argv, xstrdup(w->program));
    add(&w->argv, xstrdup("worker"));
    add(&w->argv, xstrdup("--exec"));
    add(&w->argv, xstrdup(s->exec));
    add_i64(&w->argv, "--batch-size", s->batch_size);
}

bool run_worker_init(struct run_worker *w, const struct run_settings *s,
                     const struct options *options, struct err *err)
{
    *w = (struct run_worker){0};
    add(&w->environment, xasprintf("%s=%d", WORKER_CONTROL_VARIABLE, WORKER_CONTROL_FD));
    if (s->target)
        return init_python(w, s, options, err);
    init_exec(w, s);
    return true;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

void run_worker_release(struct run_worker *w)
{
    free_list(w->argv);
    free_list(w->environment);
    free(w->program);
    *w = (struct run_worker){0};
}

void run_worker_explain(const struct run_worker *w, struct err *err)
{
    if (strstr(err->text, "No module named penstock") ||
        strstr(err->text, "No module named 'penstock"))
        err_set(err, ERR_INVALID,
                "%s cannot import penstock: install it there (\"%s -m pip install penstock\"), or "
                "name another Python with --python",
                w->program, w->program);
    else if (strstr(err->text, "No module named 'orjson'"))
        err_set(err, ERR_INVALID,
                "%s lacks orjson, which penstock needs: install it there (\"%s -m pip install "
                "orjson\"), or name another Python with --python",
                w->program, w->program);
}
