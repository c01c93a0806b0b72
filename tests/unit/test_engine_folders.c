/* test_engine_folders.c: folders of steps, step jobs and artifacts. */
#include "step_temp.h"

static struct op_folders *prepare_folders(struct op *op, enum folders_verb verb, const char *path)
{
    prepare(op, OP_FOLDERS, "");
    op->folders.by = nobody;
    op->folders.verb = verb;
    op->folders.id = op->folders.parent = -1;
    op->folders.path = str_of(path);
    op->folders.list.limit = 100;
    return &op->folders;
}

static int64_t create(struct bench *b, const char *path)
{
    struct op op;
    prepare_folders(&op, FOLDERS_CREATE, path);
    ask(b, &op);
    assert_went_well(&op);
    int64_t id = op.folders.views[0].id;
    op_release(&op);
    return id;
}

static int64_t job_in(struct bench *b, const char *path)
{
    struct op op;
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME | STEP_JOB_SETS_FOLDER);
    op.step_job_edit.folder = str_of(path);
    return edited(b, &op);
}

static void put_artifact_in(struct bench *b, int64_t id, const char *path)
{
    struct op op;
    prepare_artifact_edit(&op, id, ARTIFACT_SETS_FOLDER);
    op.artifact_edit.by = nobody;
    op.artifact_edit.folder = str_of(path);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

static void put_step_in(struct bench *b, int64_t id, const char *path)
{
    struct op op;
    prepare(&op, OP_STEPS, "");
    op.steps.verb = STEPS_EDIT;
    op.steps.by = nobody;
    op.steps.id = id;
    op.steps.sets = STEP_SETS_FOLDER;
    op.steps.folder = str_of(path);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
}

/* All folders, one behind the other. */
static void assert_folders(struct bench *b, const char *expected)
{
    struct op op;
    OWNED_BUF struct buf all;
    buf_init(&all, BUF_NO_CAP);
    prepare_folders(&op, FOLDERS_LIST, "/")->list.below = true;
    ask(b, &op);
    assert_went_well(&op);
    for (size_t i = 0; i < op.folders.count; i++) {
        buf_add_text(&all, op.folders.views[i].path);
        buf_add_text(&all, " ");
    }
    buf_add_text(&all, "");
    assert_int_equal(all.len, strlen(expected));
    assert_memory_equal(all.len ? all.data : "", expected, all.len);
    assert_int_equal(op.folders.total, op.folders.count);
    op_release(&op);
}

static void refused(struct bench *b, struct op *op, enum err_code code, const char *part)
{
    ask(b, op);
    assert_refused(op, REFUSED_OTHERWISE, code, part);
    op_release(op);
}

static void what_is_put_into_a_folder_makes_it(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t id = job_in(b, "/a/b/c");
    assert_folders(b, "/a/ /a/b/ /a/b/c/ ");
    put_artifact_in(b, add_artifact(b, "x", "1"), "/a/d");
    put_step_in(b, register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody), "/s");
    reopen_engine(b);
    assert_folders(b, "/a/ /a/b/ /a/b/c/ /a/d/ /s/ ");
    assert_string_equal(job_shown(b, &op, id)->job->folder, "/a/b/c/");
    op_release(&op);
    prepare_folders(&op, FOLDERS_LIST, "/a");
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.folders.count, 2);
    assert_string_equal(op.folders.views[1].path, "/a/d/");
    assert_true(op.folders.views[0].parent > 0);
    op_release(&op);
    prepare_folders(&op, FOLDERS_LIST, "/")->list.things = 1u << STEP_THING_STEP;
    ask(b, &op);
    assert_int_equal(op.folders.count, 1);
    assert_string_equal(op.folders.views[0].path, "/s/");
    op_release(&op);
    prepare_folders(&op, FOLDERS_SUGGEST, "/a/");
    op.folders.list.limit = 2;
    ask(b, &op);
    assert_int_equal(op.folders.count, 2);
    assert_true(op.folders.more);
    op_release(&op);
    assert_sound(b);
}

static void folders_are_made_once_and_deleted_empty(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t id = create(b, "/a/b");
    prepare_folders(&op, FOLDERS_CREATE, "/a/b/");
    refused(b, &op, ERR_CONFLICT, "already");
    prepare_folders(&op, FOLDERS_CREATE, "/");
    refused(b, &op, ERR_CONFLICT, "already");
    prepare_folders(&op, FOLDERS_CREATE, "a");
    refused(b, &op, ERR_INVALID, "");
    prepare_folders(&op, FOLDERS_CREATE, "/a/b")->name = STR("c/d");
    refused(b, &op, ERR_INVALID, "without a slash");
    prepare_folders(&op, FOLDERS_DELETE, "/a");
    refused(b, &op, ERR_CONFLICT, "not empty");
    prepare_folders(&op, FOLDERS_DELETE, "/");
    refused(b, &op, ERR_CONFLICT, "root");
    char deep[2 * STEP_FOLDER_DEPTH_MAX + 4];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 ? 'd' : '/';
    deep[2 * STEP_FOLDER_DEPTH_MAX + 2] = '\0';
    prepare_folders(&op, FOLDERS_CREATE, deep);
    refused(b, &op, ERR_INVALID, "32 deep");
    deep[2 * STEP_FOLDER_DEPTH_MAX] = '\0';
    create(b, deep);
    prepare_folders(&op, FOLDERS_EDIT, "/d")->parent_path = STR("/a");
    refused(b, &op, ERR_INVALID, "too long");
    for (size_t end = 2 * STEP_FOLDER_DEPTH_MAX; end > 0; end -= 2) {
        deep[end] = '\0';
        prepare_folders(&op, FOLDERS_DELETE, deep);
        ask(b, &op);
        assert_went_well(&op);
        op_release(&op);
    }
    int64_t job = job_in(b, "/a/b");
    prepare_folders(&op, FOLDERS_DELETE, "/a/b");
    refused(b, &op, ERR_CONFLICT, "not empty");
    end_job(b, job, STEP_JOB_END_DELETE);
    prepare_folders(&op, FOLDERS_DELETE, "/a/b");
    op.folders.by = owner("other");
    refused(b, &op, ERR_NOT_FOUND, "");
    prepare_folders(&op, FOLDERS_DELETE, NULL)->id = id;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    prepare_folders(&op, FOLDERS_SHOW, NULL)->id = id;
    refused(b, &op, ERR_NOT_FOUND, "no folder");
    reopen_engine(b);
    assert_folders(b, "/a/ ");
    assert_true(create(b, "/a/b") > id);
}

static void a_move_takes_everything_along(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t job = job_in(b, "/a/b/c"), beside = job_in(b, "/ab");
    int64_t data = add_artifact(b, "x", "1"),
            step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    put_artifact_in(b, data, "/a/b");
    put_step_in(b, step, "/a/b/c");
    create(b, "/t");
    prepare_folders(&op, FOLDERS_EDIT, "/a/b")->parent_path = STR("/a/b/c");
    refused(b, &op, ERR_CONFLICT, "into itself");
    prepare_folders(&op, FOLDERS_EDIT, "/a")->name = STR("t");
    refused(b, &op, ERR_CONFLICT, "already");
    prepare_folders(&op, FOLDERS_EDIT, "/a")->parent_path = STR("/none");
    refused(b, &op, ERR_NOT_FOUND, "");
    prepare_folders(&op, FOLDERS_EDIT, "/")->name = STR("x");
    refused(b, &op, ERR_CONFLICT, "root");
    prepare_folders(&op, FOLDERS_CREATE, "/other")->by = owner("other");
    ask(b, &op);
    assert_went_well(&op);
    int64_t others = op.folders.views[0].id;
    op_release(&op);
    prepare_folders(&op, FOLDERS_EDIT, "/a")->parent = others;
    op.folders.by.everyone = true;
    refused(b, &op, ERR_CONFLICT, "another owner's");
    prepare_folders(&op, FOLDERS_EDIT, "/a/b");
    op.folders.parent_path = STR("/t");
    op.folders.name = STR("\xc3\xa9");
    ask(b, &op);
    assert_went_well(&op);
    assert_string_equal(op.folders.views[0].path, "/t/\xc3\xa9/");
    op_release(&op);
    for (int again = 0; again < 2; again++) {
        assert_folders(b, "/a/ /ab/ /t/ /t/\xc3\xa9/ /t/\xc3\xa9/c/ ");
        assert_string_equal(job_shown(b, &op, job)->job->folder, "/t/\xc3\xa9/c/");
        op_release(&op);
        assert_string_equal(job_shown(b, &op, beside)->job->folder, "/ab/");
        op_release(&op);
        prepare_folders(&op, FOLDERS_CONTENTS, "/t/\xc3\xa9/c");
        ask(b, &op);
        assert_went_well(&op);
        assert_int_equal(op.folders.item_count, 2);
        assert_int_equal(op.folders.total, 2);
        assert_string_equal(op.folders.items[0].step.step->folder, "/t/\xc3\xa9/c/");
        assert_int_equal(op.folders.items[1].job.job->id, job);
        op_release(&op);
        reopen_engine(b);
    }
    prepare_folders(&op, FOLDERS_EDIT, "/t/\xc3\xa9")->parent = 0;
    ask(b, &op);
    assert_went_well(&op);
    assert_string_equal(op.folders.views[0].path, "/\xc3\xa9/");
    op_release(&op);
    assert_sound(b);
}

static void a_move_that_fails_moves_nothing(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t job = job_in(b, "/a/b");
    plan_fault("store.commit:1:fail");
    prepare_folders(&op, FOLDERS_EDIT, "/a")->name = STR("z");
    ask(b, &op);
    assert_true(op.err.code != ERR_NONE);
    op_release(&op);
    no_faults();
    assert_folders(b, "/a/ /a/b/ ");
    assert_string_equal(job_shown(b, &op, job)->job->folder, "/a/b/");
    op_release(&op);
    plan_fault("store.commit:1:fail");
    prepare_folders(&op, FOLDERS_CREATE, "/n");
    ask(b, &op);
    assert_true(op.err.code != ERR_NONE);
    op_release(&op);
    no_faults();
    assert_folders(b, "/a/ /a/b/ ");
}

static void a_clearing_tells_what_stays_and_why(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {.count = 0};
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    int64_t running = start_job(b, step), input = add_artifact(b, "in", "1"),
            kept = add_artifact(b, "kept", "2");
    take_steps(b, &hand, 1);
    prepare_edit(&op, running, STEP_JOB_SETS_FOLDER);
    op.step_job_edit.folder = STR("/a/b");
    edited(b, &op);
    struct step_fill_ask fill = {.slot = 0, .ids = &input, .count = 1};
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME | STEP_JOB_SETS_STEP | STEP_JOB_SETS_FOLDER);
    op.step_job_edit.step = step;
    op.step_job_edit.folder = STR("/a/c");
    op.step_job_edit.fills = &fill;
    op.step_job_edit.fill_count = 1;
    edited(b, &op);
    put_artifact_in(b, input, "/a");
    put_artifact_in(b, kept, "/a");
    prepare_artifact_edit(&op, kept, ARTIFACT_SETS_DELETABLE);
    op.artifact_edit.by = nobody;
    ask(b, &op);
    assert_went_well(&op);
    op_release(&op);
    create(b, "/a/empty");
    put_step_in(b, register_step(b, STEP_MANIFEST("other", "1.0.0"), nobody), "/a");
    prepare_folders(&op, FOLDERS_CLEAR, "/a")->keeps_steps = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.folders.deleted, 2); /* the job and its input */
    assert_int_equal(op.folders.outcome_count, 5);
    assert_false(op.folders.more);
    for (size_t i = 0; i < op.folders.outcome_count; i++) {
        const struct folder_outcome *o = &op.folders.outcomes[i];
        if (o->id == running)
            assert_non_null(strstr(o->reason, "cancel it first"));
        else if (o->id == kept)
            assert_non_null(strstr(o->reason, "not deletable"));
        else if (o->thing == STEP_THING_STEP)
            assert_non_null(strstr(o->reason, "admin"));
        else
            assert_null(o->reason);
    }
    op_release(&op);
    reopen_engine(b);
    assert_folders(b, "/a/ /a/b/ /a/c/ /a/empty/ ");
    assert_sound(b);
}

static void contents_come_page_by_page(void **state)
{
    struct bench *b = *state;
    struct op op;
    int64_t ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = job_in(b, i ? "/a" : "/");
    prepare_folders(&op, FOLDERS_CONTENTS, "/a")->list.limit = 2;
    ask(b, &op);
    assert_int_equal(op.folders.item_count, 2);
    assert_int_equal(op.folders.items[0].job.job->id, ids[3]);
    assert_int_equal(op.folders.total, 3);
    assert_true(op.folders.more);
    op_release(&op);
    prepare_folders(&op, FOLDERS_CONTENTS, "/a")->list.before = ids[2];
    ask(b, &op);
    assert_int_equal(op.folders.item_count, 1);
    assert_int_equal(op.folders.items[0].job.job->id, ids[1]);
    assert_false(op.folders.more);
    op_release(&op);
    prepare_folders(&op, FOLDERS_CONTENTS, "/a")->list.offset = 2;
    ask(b, &op);
    assert_int_equal(op.folders.item_count, 1);
    assert_int_equal(op.folders.items[0].job.job->id, ids[1]);
    op_release(&op);
    prepare_folders(&op, FOLDERS_CONTENTS, NULL)->id = 0;
    ask(b, &op);
    assert_int_equal(op.folders.item_count, 1);
    assert_int_equal(op.folders.items[0].job.job->id, ids[0]);
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(what_is_put_into_a_folder_makes_it),
        ENGINE_TEST(folders_are_made_once_and_deleted_empty),
        ENGINE_TEST(a_move_takes_everything_along),
        ENGINE_TEST(a_move_that_fails_moves_nothing),
        ENGINE_TEST(a_clearing_tells_what_stays_and_why),
        ENGINE_TEST(contents_come_page_by_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
