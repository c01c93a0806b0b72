/* run_worker.c: see run_worker.h. */
#include "cli/run_worker.h"

#include "cli/python_program.h"
#include "run/worker_message.h"

#include <stdlib.h>
#include <string.h>

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

static bool init_python(struct run_worker *w, const struct run_settings *s,
                        const struct options *options, struct err *err)
{
    w->program = python_find(options_text(options, "python"), err);
    if (!w->program)
        return false;
    add(&w->argv, xstrdup(w->program));
    add(&w->argv, xstrdup("-m"));
    add(&w->argv, xstrdup("penstock.runtime"));
    add(&w->argv, xstrdup(s->target));
    if (s->steps) {
        add(&w->argv, xstrdup("--exec"));
        add(&w->argv, xstrdup(s->steps));
    }
    if (s->config) {
        add(&w->argv, xstrdup("--config"));
        add(&w->argv, xstrdup(s->config));
    }
    add_i64(&w->argv, "--batch-size", s->batch_size);
    OWNED_MEM char *path = python_path();
    if (path)
        add(&w->environment, xasprintf("PYTHONPATH=%s", path));
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

void run_worker_tell_server(struct run_worker *w)
{
    static const char *const names[] = {"PENSTOCK_SERVER", "PENSTOCK_STATE", "PENSTOCK_IDLE_EXIT",
                                        "PENSTOCK_BIN"};
    OWNED_MEM char *self = realpath("/proc/self/exe", NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value && strcmp(names[i], "PENSTOCK_BIN") == 0)
            value = self;
        if (value && *value)
            add(&w->environment, xasprintf("%s=%s", names[i], value));
    }
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
