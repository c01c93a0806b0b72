/* The engine's jobs by id and by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "engine/data_job.h"
#include "engine/job_table.h"

#include <stdio.h>

static struct data_job *job_of(int64_t id)
{
    struct data_job *job = data_job_new();
    job->row.id = id;
    job->row.name = xasprintf("job %lld", (long long)id);
    return job;
}

static void nothing_is_found_in_an_empty_table(void **state)
{
    (void)state;
    struct job_table t = {0};
    assert_null(job_table_by_id(&t, 1));
    assert_null(job_table_by_name(&t, STR("job 1")));
    assert_int_equal(job_table_after(&t, 0), 0);
    job_table_release(&t);
}

static void jobs_are_found_by_id_and_name_until_they_are_removed(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct job_table t = {0};
    bool there[COUNT] = {false};
    for (int i = 0; i < COUNT; i++) {
        job_table_add(&t, job_of(i * 3));
        there[i] = true;
    }
    struct rng rng;
    rng_init(&rng, 11);
    for (int removed = 0; removed < 300; removed++) {
        int i = (int)rng_below(&rng, COUNT);
        struct data_job *job = job_table_by_id(&t, i * 3);
        assert_int_equal(job != NULL, there[i]);
        if (!job)
            continue;
        job_table_remove(&t, job);
        data_job_free(job);
        there[i] = false;
    }
    size_t count = 0;
    for (int i = 0; i < COUNT; i++) {
        OWNED_MEM char *name = xasprintf("job %d", i * 3);
        struct data_job *job = job_table_by_name(&t, str_of(name));
        assert_int_equal(job != NULL, there[i]);
        assert_ptr_equal(job_table_by_id(&t, i * 3), job);
        assert_null(job_table_by_id(&t, i * 3 + 1));
        assert_int_equal(job_table_after(&t, i * 3 - 1), count);
        count += there[i];
    }
    assert_int_equal(t.count, count);
    job_table_add(&t, job_of(COUNT * 3)); /* names go on being found */
    assert_non_null(job_table_by_name(&t, STR("job 1500")));
    job_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_found_in_an_empty_table),
        cmocka_unit_test(jobs_are_found_by_id_and_name_until_they_are_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
