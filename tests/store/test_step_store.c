/* test_step_store.c: steps, step jobs and artifacts in the store: what is put comes back, and every
 * way into a list and every order of it tells the same things. */
#include "store_fixture.h"

#include "store/artifact_store.h"
#include "store/blob_store.h"
#include "store/step_store.h"

#include <stdio.h>
#include <stdlib.h>

static struct step_tags tags_of(const char *json)
{
    struct step_tags tags;
    step_tags_read(str_of(json), &tags);
    return tags;
}

/* --- steps --- */

static struct step *new_step(int64_t id, const char *manifest)
{
    struct err err;
    struct step *s = step_new();
    s->id = id;
    s->owner = xstrdup("lab");
    s->created_by = xstrdup("key");
    s->folder = xstrdup("/");
    s->tags = tags_of("[\"a\"]");
    assert_true(step_manifest_read(str_of(manifest), &s->manifest, &err));
    return s;
}

struct loaded {
    struct step *step;
    int64_t jobs;
    int count;
};

static void take_step(void *context, struct step *s, int64_t jobs)
{
    struct loaded *l = context;
    step_free(l->step);
    l->step = s;
    l->jobs = jobs;
    l->count++;
}

static void a_step_comes_back_and_is_changed(void **state)
{
    struct fixture *f = *state;
    struct loaded l = {NULL, 0, 0};
    struct step *s = new_step(7, "{\"function_name\":\"f\",\"version\":\"1.0.0\"}");
    fixture_begin(f);
    OK(f, step_store_change(f->tx, NULL, s, &f->err));
    struct step *changed = step_copy(s);
    changed->title = xstrdup("title");
    changed->hidden = true;
    step_tags_release(&changed->tags);
    changed->tags = tags_of("[\"b\"]");
    OK(f, step_store_change(f->tx, s, changed, &f->err));
    fixture_commit(f);
    fixture_begin(f);
    OK(f, step_store_load(f->tx, take_step, &l, &f->err));
    assert_int_equal(l.count, 1);
    assert_string_equal(l.step->manifest.text, s->manifest.text);
    assert_string_equal(l.step->title, "title");
    assert_string_equal(l.step->owner, "lab");
    assert_true(l.step->hidden);
    assert_true(step_tags_same(&l.step->tags, &changed->tags));
    OK(f, step_store_change(f->tx, changed, NULL, &f->err));
    l.count = 0;
    OK(f, step_store_load(f->tx, take_step, &l, &f->err));
    assert_int_equal(l.count, 0);
    fixture_roll_back(f);
    step_free(l.step);
    step_free(s);
    step_free(changed);
}

/* --- jobs --- */

static struct step_job *new_job(int64_t id, const char *name, const char *tags)
{
    struct step_job *job = step_job_new();
    job->id = id;
    job->owner = xstrdup("lab");
    job->created_by = xstrdup("key");
    job->name = xstrdup(name);
    job->folder = xstrdup("/a/");
    job->state = id % 2 ? JOB_DRAFT : JOB_COMPLETED;
    job->ended_at_us = id % 2 ? 0 : 100 - id;
    job->created_at_us = 1000 + id;
    job->step = 7;
    job->parent = 1;
    job->tags = tags_of(tags);
    return job;
}

static void give_input(struct step_job *job, size_t slot, const int64_t *ids, size_t count)
{
    job->inputs = xrealloc(job->inputs, (slot + 1) * sizeof *job->inputs);
    for (; job->input_count <= slot; job->input_count++)
        job->inputs[job->input_count] = (struct step_fill){NULL, 0};
    int64_t *copy = xcalloc(count, sizeof *copy);
    memcpy(copy, ids, count * sizeof *copy);
    job->inputs[slot] = (struct step_fill){copy, count};
}

static void a_job_comes_back_with_its_slots(void **state)
{
    struct fixture *f = *state;
    struct step_job *job = new_job(11, "name", "[\"x\",\"y\"]"), *read = NULL;
    give_input(job, 1, (const int64_t[]){5, 3}, 2);
    job->parameters = xstrdup("{\"x\":1}");
    fixture_begin(f);
    OK(f, step_job_store_change(f->tx, NULL, job, &f->err));
    OK(f, step_job_store_read(f->tx, 11, &read, &f->err));
    assert_string_equal(read->name, "name");
    assert_string_equal(read->parameters, "{\"x\":1}");
    assert_int_equal(read->input_count, 2);
    assert_int_equal(read->inputs[0].count, 0);
    assert_int_equal(read->inputs[1].ids[0], 5);
    assert_int_equal(read->inputs[1].ids[1], 3);
    struct step_job *moved = step_job_copy(read);
    moved->state = JOB_FAILED;
    moved->ended_at_us = 9;
    moved->error = xstrdup("{}");
    OK(f, step_job_store_change(f->tx, read, moved, &f->err));
    step_job_free(read);
    OK(f, step_job_store_read(f->tx, 11, &read, &f->err));
    assert_int_equal(read->state, JOB_FAILED);
    assert_int_equal(read->inputs[1].count, 2);
    OK(f, step_job_store_change(f->tx, read, NULL, &f->err));
    step_job_free(read);
    read = NULL;
    OK(f, step_job_store_read(f->tx, 11, &read, &f->err));
    assert_null(read);
    fixture_roll_back(f);
    step_job_free(job);
    step_job_free(moved);
}

/* Goes through all pages of two; how many there were, and that no id came twice. */
typedef bool find_page(struct tx *tx, const struct step_filter *filter,
                       const struct step_page *page, struct step_place *places, size_t *count,
                       struct err *err);

static int64_t walk(struct fixture *f, find_page *find, const struct step_filter *filter,
                    enum step_sort sort, bool descending)
{
    struct step_page page = {.sort = sort, .descending = descending, .limit = 2};
    struct step_place places[2];
    uint64_t seen = 0;
    size_t count = 0;
    int64_t all = 0;
    OWNED_MEM char *text = NULL;
    do {
        OK(f, find(f->tx, filter, &page, places, &count, &f->err));
        for (size_t i = 0; i < count; i++) {
            assert_false(seen >> places[i].id & 1);
            seen |= UINT64_C(1) << places[i].id;
        }
        if (count) {
            free(text);
            text = places[count - 1].text;
            page.goes_on = true;
            page.after_id = places[count - 1].id;
            page.after_number = places[count - 1].number;
            page.after_text = text ? str_of(text) : (struct str){NULL, 0};
        }
        for (size_t i = 0; i + 1 < count; i++)
            free(places[i].text);
        all += (int64_t)count;
    } while (count == 2);
    return all;
}

typedef bool range_of(struct tx *tx, const struct step_filter *filter,
                      const struct step_range *range, int64_t rows, int64_t *to, struct err *err);
typedef bool count_of(struct tx *tx, const struct step_filter *filter,
                      const struct step_range *range, int64_t *out, struct err *err);
typedef bool tags_in(struct tx *tx, const struct step_filter *filter,
                     const struct step_range *range, void (*each)(void *context, struct str tag),
                     void *context, struct err *err);

static void see_all(void *context, struct str tag)
{
    if (str_is(tag, "all"))
        *(bool *)context = true;
}

/* Counts what a filter finds, a range of about so many rows at a time. What was found has the tag
 * "all", and nothing else has it. */
static int64_t sum_up(struct fixture *f, const struct step_filter *filter, int64_t rows,
                      range_of *range, count_of *count_in, tags_in *tags)
{
    struct step_range at = {.to = 0};
    int64_t sum = 0, count = 0;
    do {
        bool tagged = false;
        at.after = at.to;
        OK(f, range(f->tx, filter, &at, rows, &at.to, &f->err));
        assert_true(at.to > at.after);
        OK(f, count_in(f->tx, filter, &at, &count, &f->err));
        OK(f, tags(f->tx, filter, &at, see_all, &tagged, &f->err));
        assert_true(count <= 2 * (rows + 1) || filter->producer); /* two tags at most */
        assert_int_equal(tagged, count > 0);
        sum += count;
    } while (at.to < INT64_MAX);
    return sum;
}

/* What a filter finds in ranges, as against a list of all that is in the order of ids. */
struct found_ids {
    uint64_t ids; /* bits */
    int64_t count;
    char last_text[16];
    int64_t last_number;
};

typedef bool find_all(struct tx *tx, const struct step_filter *filter,
                      const struct step_range *range, enum step_sort sort,
                      void (*each)(void *context, int64_t id, struct str text, int64_t number),
                      void *context, struct err *err);

static void add_found(void *context, int64_t id, struct str text, int64_t number)
{
    struct found_ids *found = context;
    assert_false(found->ids >> id & 1);
    found->ids |= UINT64_C(1) << id;
    found->count++;
    snprintf(found->last_text, sizeof found->last_text, "%.*s", (int)text.len, text.ptr);
    found->last_number = number;
}

static struct found_ids all_found(struct fixture *f, find_all *find, range_of *range,
                                  const struct step_filter *filter, enum step_sort sort,
                                  int64_t rows)
{
    struct found_ids found = {0};
    struct step_range at = {.to = 0};
    do {
        at.after = at.to;
        OK(f, range(f->tx, filter, &at, rows, &at.to, &f->err));
        OK(f, find(f->tx, filter, &at, sort, add_found, &found, &f->err));
    } while (at.to < INT64_MAX);
    return found;
}

static int64_t sum_jobs(struct fixture *f, const struct step_filter *filter, int64_t rows)
{
    return sum_up(f, filter, rows, step_job_store_range, step_job_store_count, step_job_store_tags);
}

static int64_t sum_artifacts(struct fixture *f, const struct step_filter *filter, int64_t rows)
{
    return sum_up(f, filter, rows, artifact_store_range, artifact_store_count, artifact_store_tags);
}

static void every_way_into_a_list_of_jobs_tells_the_same(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct step_filter filter;
        int64_t count;
    } rows[] = {
        {{.owner = {"lab", 3}}, 9},
        {{.owner = {"", 0}}, 0},
        {{.owner = {"lab", 3}, .by_state = true, .state = JOB_DRAFT}, 5},
        {{.owner = {"lab", 3}, .tags_all = STR_INIT("[\"all\"]")}, 9},
        {{.owner = {"lab", 3}, .tags_all = STR_INIT("[\"all\",\"odd\"]")}, 5},
        {{.owner = {"lab", 3}, .tags_any = STR_INIT("[\"all\"]")}, 9},
        {{.owner = {"lab", 3}, .tags_any = STR_INIT("[\"odd\",\"even\"]")}, 9},
        {{.owner = {"lab", 3},
          .tags_all = STR_INIT("[\"all\"]"),
          .tags_any = STR_INIT("[\"odd\",\"none\"]")},
         5},
        {{.owner = {"lab", 3}, .parent = 1}, 9},
        {{.owner = {"lab", 3}, .parent = 1, .sub_job = STEP_ONLY_NOT}, 0},
        {{.owner = {"lab", 3}, .step = 7}, 9},
        {{.owner = {"lab", 3}, .artifact = 50}, 9},
        {{.owner = {"lab", 3}, .name = STR_INIT("n1")}, 3},
        {{.owner = {"lab", 3}, .folder = STR_INIT("/"), .below = true}, 9},
        {{.owner = {"lab", 3}, .folder = STR_INIT("/a/")}, 9},
        {{.owner = {"lab", 3}, .folder = STR_INIT("/b/")}, 0},
        {{.owner = {"lab", 3}, .created_from_us = 1005, .created_before_us = 1007}, 2},
        {{.owner = {"lab", 3}, .hidden = STEP_ONLY}, 0},
    };
    fixture_begin(f);
    for (int64_t id = 1; id <= 9; id++) {
        OWNED_MEM char *name = xasprintf("n%d", (int)(id % 3));
        struct step_job *job =
            new_job(id, name, id % 2 ? "[\"all\",\"odd\"]" : "[\"all\",\"even\"]");
        give_input(job, 0, (const int64_t[]){50, 50}, 2);
        OK(f, step_job_store_change(f->tx, NULL, job, &f->err));
        step_job_free(job);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(sum_jobs(f, &rows[i].filter, 1), rows[i].count);
        assert_int_equal(sum_jobs(f, &rows[i].filter, 100), rows[i].count);
        struct found_ids found = all_found(f, step_job_store_found, step_job_store_range,
                                           &rows[i].filter, STEP_SORT_NAME, 2);
        assert_int_equal(found.count, rows[i].count);
        if (found.count)
            assert_int_equal(found.last_text[0], 'n');
        for (int sort = 0; sort <= STEP_SORT_ENDED; sort++)
            for (int down = 0; down < 2; down++)
                if (walk(f, step_job_store_list, &rows[i].filter, (enum step_sort)sort, down) !=
                    rows[i].count)
                    fail_msg("row %zu, order %d %d", i, sort, down);
    }
    struct step_page page = {.sort = STEP_SORT_BYTES, .limit = 1};
    struct step_place place;
    size_t count = 0;
    REFUSED(f, ERR_INVALID,
            step_job_store_list(f->tx, &rows[0].filter, &page, &place, &count, &f->err));
    fixture_roll_back(f);
}

static void a_list_with_a_limit_of_work_gives_up(void **state)
{
    struct fixture *f = *state;
    enum { JOBS = 200 };
    const struct step_filter hidden = {.owner = {"lab", 3}, .hidden = STEP_ONLY};
    struct step_page page = {.limit = 1, .work = 10};
    struct step_place place;
    size_t count = 0;
    fixture_begin(f);
    for (int64_t id = 1; id <= JOBS; id++) {
        struct step_job *job = new_job(id, "n", "[]");
        OK(f, step_job_store_change(f->tx, NULL, job, &f->err));
        step_job_free(job);
    }
    fixture_commit(f);
    fixture_begin(f);
    REFUSED(f, ERR_LIMIT, step_job_store_list(f->tx, &hidden, &page, &place, &count, &f->err));
    fixture_roll_back(f);
    fixture_begin(f);
    page.work = 100 * JOBS;
    OK(f, step_job_store_list(f->tx, &hidden, &page, &place, &count, &f->err));
    assert_int_equal(count, 0);
    const struct step_filter all = {.owner = {"lab", 3}};
    page.work = 10; /* the first that is looked at is it */
    OK(f, step_job_store_list(f->tx, &all, &page, &place, &count, &f->err));
    assert_int_equal(count, 1);
    page.work = 0; /* what follows has no limit */
    OK(f, step_job_store_list(f->tx, &hidden, &page, &place, &count, &f->err));
    assert_int_equal(count, 0);
    fixture_roll_back(f);
}

/* --- artifacts --- */

static struct artifact *new_artifact(int64_t id)
{
    struct artifact *a = artifact_new();
    a->id = id;
    a->owner = xstrdup("lab");
    a->created_by = xstrdup("key");
    a->name = xasprintf("n%d", (int)(id % 3));
    a->media_type = xstrdup(id % 2 ? "text/csv" : "image/png");
    a->folder = xstrdup("/");
    a->tags = tags_of("[\"all\"]");
    a->kind = id % 2 ? ARTIFACT_OUTPUT : ARTIFACT_UPLOAD;
    a->job = id % 2 ? 77 : 0;
    a->slot = id;
    a->deletable = true;
    a->bytes = 10 * id;
    a->created_at_us = 1000 + id;
    memset(a->hash, 7, sizeof a->hash);
    return a;
}

static void an_artifact_refers_to_its_blob(void **state)
{
    struct fixture *f = *state;
    struct artifact *a = new_artifact(3), *read = NULL;
    struct blob_row blob;
    bool found = false;
    fixture_begin(f);
    OK(f, artifact_store_change(f->tx, NULL, a, 5, &f->err));
    OK(f, artifact_store_read(f->tx, 3, &read, &f->err));
    assert_string_equal(read->media_type, "text/csv");
    assert_memory_equal(read->hash, a->hash, sizeof a->hash);
    OK(f, blob_store_find(f->tx, a->hash, &blob, &found, &f->err));
    assert_true(found && blob.refs == 1);
    read->used = 4;
    OK(f, artifact_store_change(f->tx, a, read, 5, &f->err));
    OK(f, artifact_store_change(f->tx, read, NULL, 6, &f->err));
    OK(f, blob_store_find(f->tx, a->hash, &blob, &found, &f->err));
    assert_true(found && blob.refs == 0 && blob.unused_at_us == 6);
    fixture_roll_back(f);
    artifact_free(a);
    artifact_free(read);
}

static void add_id(void *context, int64_t id)
{
    *(int64_t *)context += id;
}

static void add_lab_bytes(void *context, struct str owner, int64_t bytes)
{
    if (str_is(owner, "lab"))
        *(int64_t *)context += bytes;
}

static void every_way_into_a_list_of_artifacts_tells_the_same(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct step_filter filter;
        int64_t count;
    } rows[] = {
        {{.owner = {"lab", 3}}, 9},
        {{.owner = {"lab", 3}, .tags_all = STR_INIT("[\"all\"]")}, 9},
        {{.owner = {"lab", 3}, .tags_any = STR_INIT("[\"all\",\"x\"]")}, 9},
        {{.owner = {"lab", 3}, .producer = 77}, 5},
        {{.owner = {"lab", 3}, .by_kind = true, .kind = ARTIFACT_UPLOAD}, 4},
        {{.owner = {"lab", 3}, .media_type = STR_INIT("csv")}, 5},
        {{.owner = {"lab", 3}, .used = STEP_ONLY}, 0},
        {{.owner = {"lab", 3}, .folder = STR_INIT("/")}, 9},
        {{.owner = {"lab", 3}, .deletable = STEP_ONLY, .secret = STEP_ONLY_NOT}, 9},
    };
    int64_t bytes = 0, users = 0;
    fixture_begin(f);
    for (int64_t id = 1; id <= 9; id++) {
        struct artifact *a = new_artifact(id);
        OK(f, artifact_store_change(f->tx, NULL, a, 5, &f->err));
        artifact_free(a);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(sum_artifacts(f, &rows[i].filter, 1), rows[i].count);
        assert_int_equal(sum_artifacts(f, &rows[i].filter, 100), rows[i].count);
        struct found_ids found = all_found(f, artifact_store_found, artifact_store_range,
                                           &rows[i].filter, STEP_SORT_BYTES, 2);
        assert_int_equal(found.count, rows[i].count);
        assert_int_equal(found.last_number % 10, 0);
        assert_int_equal(found.last_number > 0, found.count > 0);
        found = all_found(f, artifact_store_found, artifact_store_range, &rows[i].filter,
                          STEP_SORT_MEDIA_TYPE, 2);
        if (found.count)
            assert_non_null(strchr(found.last_text, '/'));
        for (int sort = 0; sort < STEP_SORT_COUNT; sort++)
            for (int down = 0; sort != STEP_SORT_ENDED && down < 2; down++)
                if (walk(f, artifact_store_list, &rows[i].filter, (enum step_sort)sort, down) !=
                    rows[i].count)
                    fail_msg("row %zu, order %d %d", i, sort, down);
    }
    OK(f, artifact_store_bytes(f->tx, add_lab_bytes, &bytes, &f->err));
    assert_int_equal(bytes, 450);
    struct step_job *job = new_job(20, "user", "[]");
    give_input(job, 0, (const int64_t[]){3, 3}, 2);
    OK(f, step_job_store_change(f->tx, NULL, job, &f->err));
    OK(f, artifact_store_users(f->tx, 3, 10, add_id, &users, &f->err));
    assert_int_equal(users, 20);
    step_job_free(job);
    fixture_roll_back(f);
}

static void count_tag(void *context, struct str tag)
{
    (void)tag;
    ++*(int *)context;
}

static void tags_in_use_are_told_once(void **state)
{
    struct fixture *f = *state;
    int count = 0;
    struct step_tags tags = tags_of("[\"a\",\"b\"]");
    fixture_begin(f);
    for (int64_t id = 1; id < 5; id++)
        OK(f, step_tag_store_change(f->tx, STEP_THING_JOB, id, STR("lab"), NULL, &tags, &f->err));
    OK(f, step_tag_store_list(f->tx, STEP_THING_JOB, STR("lab"), 10, count_tag, &count, &f->err));
    assert_int_equal(count, 2);
    OK(f, step_tag_store_list(f->tx, STEP_THING_JOB, STR(""), 10, count_tag, &count, &f->err));
    OK(f, step_tag_store_list(f->tx, STEP_THING_STEP, STR("lab"), 10, count_tag, &count, &f->err));
    assert_int_equal(count, 2);
    fixture_roll_back(f);
    step_tags_release(&tags);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(a_step_comes_back_and_is_changed),
        CASE(a_job_comes_back_with_its_slots),
        CASE(every_way_into_a_list_of_jobs_tells_the_same),
        CASE(a_list_with_a_limit_of_work_gives_up),
        CASE(an_artifact_refers_to_its_blob),
        CASE(every_way_into_a_list_of_artifacts_tells_the_same),
        CASE(tags_in_use_are_told_once),
    };
    return RUN(cases);
}
