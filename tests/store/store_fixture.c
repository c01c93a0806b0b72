/* store_fixture.c: see store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A further engine is one more row. */
static const struct engine_case engines[] = {
    {"sqlite", store_open},
};

int fixture_run(const struct CMUnitTest *cases, size_t count)
{
    int failed = 0;
    OWNED_MEM struct CMUnitTest *run = xcalloc(count, sizeof *run);
    memcpy(run, cases, count * sizeof *run);
    for (size_t e = 0; e < sizeof engines / sizeof *engines; e++) {
        for (size_t i = 0; i < count; i++)
            run[i].initial_state = (void *)(uintptr_t)&engines[e];
        failed += _cmocka_run_group_tests(engines[e].name, run, count, NULL, NULL);
    }
    return failed != 0;
}

int fixture_set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    f->engine = *state;
    snprintf(f->dir, sizeof f->dir, "/tmp/penstock-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->dir_fd >= 0);
    OK(f, f->engine->open(f->dir_fd, f->dir, &f->store, &f->err));
    *state = f;
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    tx_free(f->tx);
    store_free(f->store);
    DIR *folder = fdopendir(f->dir_fd);
    for (struct dirent *entry; (entry = readdir(folder));)
        unlinkat(f->dir_fd, entry->d_name, 0);
    closedir(folder);
    rmdir(f->dir);
    free(f);
    return 0;
}

void fixture_begin(struct fixture *f)
{
    OK(f, tx_begin(f->store, &f->tx, &f->err));
}

void fixture_commit(struct fixture *f)
{
    OK(f, tx_commit(f->tx, &f->err));
    tx_free(TAKE(f->tx));
}

void fixture_roll_back(struct fixture *f)
{
    tx_free(TAKE(f->tx));
}

void fixture_reopen(struct fixture *f)
{
    store_free(TAKE(f->store));
    OK(f, f->engine->open(f->dir_fd, f->dir, &f->store, &f->err));
}

void fixture_crash(struct fixture *f, void (*act)(struct fixture *f))
{
    /* The child opens its own: a database must not be carried across a fork. */
    store_free(TAKE(f->store));
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool opened = f->engine->open(f->dir_fd, f->dir, &f->store, &f->err);
        if (opened)
            act(f);
        _exit(opened ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(f, f->engine->open(f->dir_fd, f->dir, &f->store, &f->err));
}

int64_t fixture_job(struct fixture *f, const char *name)
{
    struct job_row row = {.kind = JOB_DATA, .state = JOB_PENDING};
    row.name = xstrdup(name);
    row.spec = xstrdup("{}");
    OK(f, job_store_insert(f->tx, &row, 1, &f->err));
    int64_t id = row.id;
    job_row_release(&row);
    assert_true(id > 0);
    return id;
}

static bool count_job(void *context, struct job_row *row, struct err *err)
{
    (void)err;
    job_row_release(row);
    ++*(int *)context;
    return true;
}

int fixture_count_jobs(struct fixture *f)
{
    int count = 0;
    OK(f, job_store_load(f->tx, count_job, &count, &f->err));
    return count;
}

static bool count_page(void *context, const struct ledger_page *page, struct err *err)
{
    (void)page;
    (void)err;
    ++*(int *)context;
    return true;
}

int fixture_count_pages(struct fixture *f, int64_t job_id)
{
    int count = 0;
    OK(f, ledger_store_load(f->tx, job_id, count_page, &count, &f->err));
    return count;
}

static bool count_attempt(void *context, const struct attempt_row *row, struct err *err)
{
    (void)row;
    (void)err;
    ++*(int *)context;
    return true;
}

int fixture_count_attempts(struct fixture *f, int64_t job_id)
{
    int count = 0;
    OK(f, attempt_store_load(f->tx, job_id, count_attempt, &count, &f->err));
    return count;
}

static void count_event(void *context, const struct event *event)
{
    (void)event;
    ++*(int *)context;
}

int fixture_count_events(struct fixture *f)
{
    int count = 0;
    OK(f, event_store_list(f->tx, 0, 0, 1000000, count_event, &count, &f->err));
    return count;
}
