/* Blobs under the engine: noted with the group, collected when their grace is over, never under
 * somebody who has just put them. */
#include "engine_temp.h"

#define DAY_US (24 * 3600 * SECOND_US)

static const char *place_of(struct bench *b, const char *text)
{
    char name[BLOB_NAME_SIZE];
    static char path[128];
    struct blob_hash hash;
    blob_hash_of(str_of(text), &hash);
    blob_name(&hash, name);
    snprintf(path, sizeof path, "state/blobs/%.2s/%.2s/%s", name, name + 2, name);
    return path_of(b, path);
}

static bool is_there(struct bench *b, const char *text)
{
    return access(place_of(b, text), F_OK) == 0;
}

static struct blob_pin *put_blob(struct bench *b, const char *text)
{
    struct blob_pin *pin = NULL;
    assert_true(blob_put(engine_blobs(b->engine), str_of(text), &pin, &b->err));
    return pin;
}

static enum err_code note(struct bench *b, struct blob_pin *pin, bool kept)
{
    struct op op;
    prepare(&op, OP_BLOB_NOTE, NULL);
    op.blob_note.hash = *blob_pin_hash(pin);
    op.blob_note.bytes = blob_pin_bytes(pin);
    op.blob_note.kept = kept;
    ask(b, &op);
    blob_pin_free(pin, op.err.code == ERR_NONE);
    return op.err.code;
}

static void keep_blob(struct bench *b, const char *text)
{
    assert_int_equal(note(b, put_blob(b, text), false), ERR_NONE);
}

static enum err_code forget(struct bench *b, const char *text)
{
    struct op op;
    prepare(&op, OP_BLOB_FORGET, NULL);
    blob_hash_of(str_of(text), &op.blob_forget.hash);
    ask(b, &op);
    return op.err.code;
}

static void an_unused_blob_goes_when_its_grace_is_over(void **state)
{
    struct bench *b = *state;
    assert_true(engine_next_us(b->engine) == NEVER_US);
    keep_blob(b, "a");
    int64_t due_us = engine_next_us(b->engine);
    assert_true(due_us <= b->now.mono_us + DAY_US);
    pass_time(b, DAY_US - SECOND_US);
    assert_true(is_there(b, "a"));
    pass_time(b, 2 * SECOND_US);
    assert_false(is_there(b, "a"));
    assert_true(engine_next_us(b->engine) == NEVER_US);
    assert_int_equal(forget(b, "a"), ERR_NOT_FOUND);
}

static void putting_it_again_lets_its_grace_begin_anew(void **state)
{
    struct bench *b = *state;
    keep_blob(b, "a");
    pass_time(b, DAY_US / 2);
    keep_blob(b, "a");
    pass_time(b, DAY_US / 2 + SECOND_US);
    assert_true(is_there(b, "a"));
    pass_time(b, DAY_US / 2);
    assert_false(is_there(b, "a"));
}

static void what_is_kept_stays(void **state)
{
    struct bench *b = *state;
    assert_int_equal(note(b, put_blob(b, "a"), true), ERR_NONE);
    pass_time(b, 3 * DAY_US);
    reopen_engine(b);
    pass_time(b, 3 * DAY_US);
    assert_true(is_there(b, "a"));
    assert_int_equal(forget(b, "a"), ERR_NONE);
    assert_false(is_there(b, "a"));
}

static void many_go_some_a_step(void **state)
{
    struct bench *b = *state;
    char text[8];
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        keep_blob(b, text);
    }
    pass_time(b, DAY_US + SECOND_US);
    int left = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        left += is_there(b, text);
    }
    assert_in_range(left, 1, 39);
    for (int steps = 0; engine_next_us(b->engine) != NEVER_US; steps++) {
        assert_in_range(steps, 0, 5);
        pass_time(b, engine_next_us(b->engine) - b->now.mono_us);
    }
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_false(is_there(b, text));
    }
}

static void a_restart_goes_on_with_their_grace(void **state)
{
    struct bench *b = *state;
    keep_blob(b, "a");
    pass_time(b, DAY_US / 2);
    reopen_engine(b);
    assert_true(engine_next_us(b->engine) <= b->now.mono_us + DAY_US / 2 + SECOND_US);
    pass_time(b, DAY_US / 2 + SECOND_US);
    assert_false(is_there(b, "a"));
}

static void one_that_is_being_put_again_is_not_taken_away(void **state)
{
    struct bench *b = *state;
    keep_blob(b, "a");
    struct blob_pin *pin = put_blob(b, "a");
    pass_time(b, DAY_US + SECOND_US); /* its row goes, its file does not */
    assert_true(is_there(b, "a"));
    assert_int_equal(note(b, pin, false), ERR_NONE);
    pass_time(b, SECOND_US);
    reopen_engine(b);
    assert_true(is_there(b, "a"));
    pass_time(b, DAY_US + SECOND_US);
    assert_false(is_there(b, "a"));
}

static void one_whose_row_was_not_stored_goes_at_the_next_start(void **state)
{
    struct bench *b = *state;
    plan_fault("store.commit:1:full");
    assert_int_equal(note(b, put_blob(b, "a"), false), ERR_NO_SPACE);
    no_faults();
    assert_true(is_there(b, "a"));
    reopen_engine(b);
    assert_false(is_there(b, "a"));
    keep_blob(b, "a");
}

static void a_collection_that_fails_is_tried_again(void **state)
{
    struct bench *b = *state;
    keep_blob(b, "a");
    plan_fault("store.commit:1:fail");
    pass_time(b, DAY_US + SECOND_US);
    no_faults();
    assert_true(is_there(b, "a"));
    pass_time(b, 61 * SECOND_US);
    assert_false(is_there(b, "a"));
}

static void what_cannot_be_forgotten_stays(void **state)
{
    struct bench *b = *state;
    keep_blob(b, "a");
    plan_fault("store.commit:1:full");
    assert_int_equal(forget(b, "a"), ERR_NO_SPACE);
    no_faults();
    assert_true(is_there(b, "a"));
    reopen_engine(b);
    assert_true(is_there(b, "a"));
    assert_int_equal(forget(b, "a"), ERR_NONE);
    assert_false(is_there(b, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(an_unused_blob_goes_when_its_grace_is_over),
        ENGINE_TEST(putting_it_again_lets_its_grace_begin_anew),
        ENGINE_TEST(what_is_kept_stays),
        ENGINE_TEST(many_go_some_a_step),
        ENGINE_TEST(a_restart_goes_on_with_their_grace),
        ENGINE_TEST(one_that_is_being_put_again_is_not_taken_away),
        ENGINE_TEST(one_whose_row_was_not_stored_goes_at_the_next_start),
        ENGINE_TEST(a_collection_that_fails_is_tried_again),
        ENGINE_TEST(what_cannot_be_forgotten_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
