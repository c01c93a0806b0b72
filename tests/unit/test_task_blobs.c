/* test_task_blobs.c: texts of tasks that lie in blobs: needed as long as the row is, and no longer.
 */
#include "task_temp.h"

#define DAY_US (24 * 3600 * SECOND_US)

static struct task_blob_ref ref_of(const struct blob_pin *pin)
{
    return (struct task_blob_ref){*blob_pin_hash(pin), blob_pin_bytes(pin)};
}

static struct blob_pin *put_blob(struct bench *b, const char *text)
{
    struct blob_pin *pin = NULL;
    assert_true(blob_put(engine_blobs(b->engine), str_of(text), &pin, &b->err));
    return pin;
}

static bool is_kept(struct bench *b, const char *text)
{
    struct blob_hash hash;
    struct blob_reader *r = NULL;
    struct err err;
    blob_hash_of(str_of(text), &hash);
    bool kept = blob_open(engine_blobs(b->engine), &hash, &r, &err);
    blob_reader_free(r);
    return kept;
}

static int64_t enqueue_in_blob(struct bench *b, const char *text, struct task_new task)
{
    struct blob_pin *pin = put_blob(b, text);
    task.arguments_blob = ref_of(pin);
    int64_t id = enqueue(b, task);
    blob_pin_free(pin, true);
    return id;
}

/* Collects what nothing needs. */
static void pass_the_grace(struct bench *b)
{
    pass_time(b, DAY_US + SECOND_US);
    pass_time(b, SECOND_US);
}

static void complete_in_blob(struct bench *b, const struct hand *hand, int64_t id, const char *text)
{
    struct outcomes o;
    struct blob_pin *pin = put_blob(b, text);
    outcomes_begin(&o, hand);
    outcome(&o, id, TASK_COMPLETED, NULL)->value_blob = ref_of(pin);
    ask(b, &o.op);
    assert_went_well(&o.op);
    op_release(&o.op);
    blob_pin_free(pin, true);
}

static void a_worker_is_told_where_the_arguments_lie(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op op;
    struct blob_hash hash;
    blob_hash_of(STR("[1]"), &hash);
    int64_t id = enqueue_in_blob(b, "[1]", new_task("f"));
    for (int i = 0; i < 2; i++) {
        prepare_take(&op, &hand, 1);
        ask(b, &op);
        assert_went_well(&op);
        const struct task_handed *t = &op.task_claim.tasks[0];
        assert_true(t->id == id && t->arguments.len == 0 && t->arguments_blob.bytes == 3);
        assert_true(blob_hash_same(&t->arguments_blob.hash, &hash));
        taken(&hand, &op);
        fail_task(b, &hand, id, true);
        control_tasks(b, TASK_RETRY, (struct task_filter){.ids = &id, .id_count = 1});
        reopen_engine(b);
    }
    assert_sound(b);
}

static void a_blob_stays_as_long_as_its_task(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op op;
    int64_t id = enqueue_in_blob(b, "\"in\"", new_task("f"));
    assert_int_equal(take(b, &hand, 1), 1);
    complete_in_blob(b, &hand, id, "\"out\"");
    const struct task_view *view = shown(b, &op, id);
    assert_true(view->arguments_blob.bytes == 4 && view->result_blob.bytes == 5 && !view->result);
    op_release(&op);
    pass_the_grace(b);
    assert_true(is_kept(b, "\"in\"") && is_kept(b, "\"out\""));
    control_tasks(b, TASK_DELETE, (struct task_filter){.ids = &id, .id_count = 1});
    assert_true(is_kept(b, "\"in\""));
    pass_the_grace(b);
    assert_false(is_kept(b, "\"in\"") || is_kept(b, "\"out\""));
    assert_sound(b);
}

static void retention_lets_go_of_blobs(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.options = STR("{\"keep_s\":60}");
    int64_t id = enqueue_in_blob(b, "[2]", task);
    take(b, &hand, 1);
    complete(b, &hand, id);
    pass_time(b, 62 * SECOND_US);
    pass_time(b, 2 * SECOND_US);
    pass_the_grace(b);
    assert_false(is_kept(b, "[2]"));
    assert_sound(b);
}

static void a_commit_that_fails_needs_no_blob(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct blob_pin *pin = put_blob(b, "[3]");
    struct task_new task = new_task("f");
    task.arguments_blob = ref_of(pin);
    prepare_enqueue(&op, &task, 1);
    plan_fault("store.commit:1:full");
    ask(b, &op);
    no_faults();
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    op_release(&op);
    blob_pin_free(pin, false);
    pass_time(b, 2 * SECOND_US);
    assert_true(is_kept(b, "[3]"));
    pass_the_grace(b);
    assert_false(is_kept(b, "[3]"));
    assert_sound(b);
}

static void what_was_put_for_nothing_is_swept(void **state)
{
    struct bench *b = *state;
    blob_pin_free(put_blob(b, "[4]"), false);
    assert_sound(b);
    pass_time(b, SECOND_US);
    assert_true(is_kept(b, "[4]"));
    pass_the_grace(b);
    assert_false(is_kept(b, "[4]"));
}

/* It was ahead by a year when the task was forgotten. */
static void a_clock_that_is_set_back_keeps_no_blob(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t year_us = 365 * DAY_US;
    b->now.wall_us += year_us;
    int64_t id = enqueue_in_blob(b, "[6]", new_task("f"));
    take(b, &hand, 1);
    complete(b, &hand, id);
    control_tasks(b, TASK_DELETE, (struct task_filter){.ids = &id, .id_count = 1});
    b->now.wall_us -= year_us;
    pass_time(b, DAY_US / 2);
    assert_true(is_kept(b, "[6]"));
    for (int i = 0; i < 3; i++)
        pass_the_grace(b);
    assert_false(is_kept(b, "[6]"));
    assert_sound(b);
}

/* The later one of a list takes the place of the earlier one, whose blob nothing needs then. */
static void a_list_that_replaces_its_own_needs_not_all_blobs(void **state)
{
    struct bench *b = *state;
    for (int twice = 0; twice < 2; twice++) {
        struct op op;
        struct blob_pin *pins[2] = {put_blob(b, "[7]"), put_blob(b, "[8]")};
        struct task_new tasks[2] = {new_task("f"), new_task("f")};
        for (int i = 0; i < 2; i++) {
            tasks[i].unique = i == 0 || twice ? STR("u") : STR("v");
            tasks[i].on_clash = CLASH_REPLACE;
            tasks[i].arguments_blob = ref_of(pins[i]);
        }
        prepare_enqueue(&op, tasks, 2);
        ask(b, &op);
        assert_went_well(&op);
        bool all = enqueue_needs_all_blobs(&op.enqueue);
        assert_int_equal(all, !twice);
        op_release(&op);
        for (int i = 0; i < 2; i++)
            blob_pin_free(pins[i], all);
        assert_sound(b);
        control_tasks(b, TASK_CANCEL, (struct task_filter){.function = STR("f")});
        control_tasks(b, TASK_DELETE, (struct task_filter){.function = STR("f")});
        pass_the_grace(b);
        assert_false(is_kept(b, "[7]") || is_kept(b, "[8]"));
    }
}

static void doctor_misses_files_and_rows(void **state)
{
    struct bench *b = *state;
    struct op op;
    char name[BLOB_NAME_SIZE], path[160];
    struct blob_hash hash;
    enqueue_in_blob(b, "[5]", new_task("f"));
    blob_hash_of(STR("[5]"), &hash);
    blob_name(&hash, name);
    snprintf(path, sizeof path, "state/blobs/%.2s/%.2s/%s", name, name + 2, name);
    assert_int_equal(unlink(path_of(b, path)), 0);
    prepare(&op, OP_DOCTOR, "");
    ask(b, &op);
    assert_int_equal(op.doctor.faults, 1);
    assert_non_null(strstr(op.doctor.findings.data, "has no file"));
    op_release(&op);
    /* Another's name: nobody knows of it. */
    path[strlen(path) - 1] = path[strlen(path) - 1] == '0' ? '1' : '0';
    FILE *file = fopen(path_of(b, path), "w");
    assert_non_null(file);
    fclose(file);
    prepare(&op, OP_DOCTOR, "");
    ask(b, &op);
    assert_int_equal(op.doctor.faults, 2);
    assert_non_null(strstr(op.doctor.findings.data, "does not know of it"));
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_worker_is_told_where_the_arguments_lie),
        ENGINE_TEST(a_blob_stays_as_long_as_its_task),
        ENGINE_TEST(retention_lets_go_of_blobs),
        ENGINE_TEST(a_commit_that_fails_needs_no_blob),
        ENGINE_TEST(what_was_put_for_nothing_is_swept),
        ENGINE_TEST(a_clock_that_is_set_back_keeps_no_blob),
        ENGINE_TEST(a_list_that_replaces_its_own_needs_not_all_blobs),
        ENGINE_TEST(doctor_misses_files_and_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
