/* test_step_folder_store.c: folders in the store: rows, what is in them, and moves. */
#include "store_fixture.h"

#include "store/step_folder_store.h"
#include "store/step_job_store.h"

#include <stdlib.h>

static void add(struct fixture *f, int64_t id, const char *path)
{
    const struct step_folder_row row = {id, "lab", path, "key", 5};
    OK(f, step_folder_store_add(f->tx, &row, &f->err));
}

static void add_job(struct fixture *f, int64_t id, const char *path)
{
    struct step_job *job = step_job_new();
    job->id = id;
    job->owner = xstrdup("lab");
    job->created_by = xstrdup("key");
    job->name = xstrdup("name");
    job->folder = xstrdup(path);
    OK(f, step_job_store_change(f->tx, NULL, job, &f->err));
    step_job_free(job);
}

static void see(void *context, const struct step_folder_row *row)
{
    struct buf *all = context;
    buf_add_text(all, row->path);
    buf_add_text(all, " ");
}

static void assert_rows(struct fixture *f, const char *expected, int64_t last)
{
    OWNED_BUF struct buf all;
    int64_t last_id = 0;
    buf_init(&all, BUF_NO_CAP);
    OK(f, step_folder_store_load(f->tx, see, &all, &last_id, &f->err));
    assert_int_equal(all.len, strlen(expected));
    if (all.len)
        assert_memory_equal(all.data, expected, all.len);
    assert_int_equal(last_id, last);
}

static int64_t count(struct fixture *f, const char *path, bool below)
{
    const struct step_folder_place place = {STR("lab"), str_of(path), below};
    int64_t jobs = 0;
    OK(f, step_folder_store_count(f->tx, &place, STEP_THING_JOB, 100, &jobs, &f->err));
    return jobs;
}

static void folders_come_back_and_no_id_twice(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    assert_rows(f, "", 0);
    add(f, 1, "/b/");
    add(f, 2, "/a/");
    assert_rows(f, "/a/ /b/ ", 2);
    OK(f, step_folder_store_delete(f->tx, 2, &f->err));
    assert_rows(f, "/b/ ", 2);
    const struct step_folder_row again = {3, "lab", "/b/", "key", 5};
    REFUSED(f, ERR_CONFLICT, step_folder_store_add(f->tx, &again, &f->err));
    fixture_roll_back(f);
}

static void take_id(void *context, int64_t id, enum step_thing thing)
{
    assert_int_equal(thing, STEP_THING_JOB);
    *(int64_t *)context = *(int64_t *)context * 10 + id;
}

static void a_move_takes_what_is_below_and_nothing_beside(void **state)
{
    struct fixture *f = *state;
    int64_t ids = 0;
    fixture_begin(f);
    add(f, 1, "/a/");
    add(f, 2, "/a/\xc3\xa9/");
    add(f, 3, "/a0/");
    add(f, 4, "/ab/");
    add_job(f, 1, "/a/");
    add_job(f, 2, "/a/\xc3\xa9/");
    add_job(f, 3, "/a0/");
    assert_int_equal(count(f, "/a/", false), 1);
    assert_int_equal(count(f, "/a/", true), 2);
    assert_int_equal(count(f, "/", true), 3);
    OK(f, step_folder_store_move(f->tx, STR("other"), STR("/a/"), STR("/x/"), &f->err));
    assert_int_equal(count(f, "/a/", true), 2);
    OK(f, step_folder_store_move(f->tx, STR("lab"), STR("/a/"), STR("/x/y/"), &f->err));
    assert_rows(f, "/a0/ /ab/ /x/y/ /x/y/\xc3\xa9/ ", 4);
    assert_int_equal(count(f, "/a/", true), 0);
    assert_int_equal(count(f, "/x/y/\xc3\xa9/", false), 1);
    const struct step_folder_place all = {STR("lab"), STR("/"), true};
    OK(f, step_folder_store_contents(f->tx, &all, 3, 10, take_id, &ids, &f->err));
    assert_int_equal(ids, 21);
    fixture_roll_back(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(folders_come_back_and_no_id_twice),
        CASE(a_move_takes_what_is_below_and_nothing_beside),
    };
    return RUN(cases);
}
