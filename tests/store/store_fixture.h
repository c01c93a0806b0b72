/* store_fixture.h: a store in a folder of its own, for one test. */
#ifndef PENSTOCK_TESTS_STORE_FIXTURE_H
#define PENSTOCK_TESTS_STORE_FIXTURE_H

#include "store/event_store.h"
#include "store/job_store.h"
#include "store/key_store.h"
#include "store/ledger_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* An engine under test: how a store in the folder `dir` is opened. */
struct engine_case {
    const char *name;
    bool (*open)(int dir_fd, const char *dir, struct store **out, struct err *err);
};

struct fixture {
    const struct engine_case *engine;
    char dir[64];
    int dir_fd;
    struct store *store;
    struct tx *tx;
    struct err err;
};

/* cmocka's set-up and tear-down; the initial state is the engine_case. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name, fixture_set_up, fixture_tear_down, NULL                                       \
    }
/* Runs the cases on every engine there is; the exit status. */
int fixture_run(const struct CMUnitTest *cases, size_t count);
#define RUN(cases) fixture_run((cases), sizeof(cases) / sizeof *(cases))

/* Asserts that it holds and prints the error if not. */
#define OK(f, call)                                                                                \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s: %s", #call, err_name((f)->err.code), (f)->err.text);                 \
    } while (0)
/* Asserts that it fails in this way. */
#define REFUSED(f, want, call)                                                                     \
    do {                                                                                           \
        (f)->err = (struct err){0};                                                                \
        assert_false(call);                                                                        \
        if ((f)->err.code != (want))                                                               \
            fail_msg("%s: %s: %s", #call, err_name((f)->err.code), (f)->err.text);                 \
        assert_true(strlen((f)->err.text) > 0);                                                    \
    } while (0)

void fixture_begin(struct fixture *f);
void fixture_commit(struct fixture *f);
void fixture_roll_back(struct fixture *f);
/* Closes and opens again, as a restart does. */
void fixture_reopen(struct fixture *f);
/* Runs `act` in another process, which then stops without closing anything. */
void fixture_crash(struct fixture *f, void (*act)(struct fixture *f));
/* A job of that name, inserted in the transaction at hand; its id. */
int64_t fixture_job(struct fixture *f, const char *name);
/* How many rows the store holds, in the transaction at hand. */
int fixture_count_jobs(struct fixture *f);
int fixture_count_pages(struct fixture *f, int64_t job_id);
int fixture_count_attempts(struct fixture *f, int64_t job_id);
int fixture_count_events(struct fixture *f);

#endif
