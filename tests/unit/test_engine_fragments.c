/* Fragments under the engine: portions that keep nobody waiting, errors that are told. */
#include "engine_temp.h"

/* Lines {"n":i} in one text, a slice each, ids "0000" and so on. */
struct many {
    struct buf bytes;
    struct fragment_slice *slices;
    size_t count;
};

static void many_init(struct many *m, size_t count, size_t data_bytes)
{
    buf_init(&m->bytes, BUF_NO_CAP);
    m->slices = xcalloc(count, sizeof *m->slices);
    m->count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)m->bytes.len;
        buf_add_format(&m->bytes, "%06zuof{\"n\":\"", i);
        for (size_t k = 0; k < data_bytes; k++)
            buf_add_char(&m->bytes, 'x');
        buf_add_text(&m->bytes, "\"}");
        m->slices[i] = (struct fragment_slice){
            at, at + 6, at + 7, at + 8, (uint32_t)m->bytes.len - at - 8, 6, 1, 1};
    }
}

static void many_release(struct many *m)
{
    buf_release(&m->bytes);
    free(m->slices);
}

static void prepare_put(struct op *op, const char *dataset, const struct many *m)
{
    prepare(op, OP_FRAGMENTS_PUT, NULL);
    op->fragments_put.dataset = str_of(dataset);
    op->fragments_put.bytes = m->bytes.data;
    op->fragments_put.slices = m->slices;
    op->fragments_put.count = m->count;
}

static int64_t stored_of(struct bench *b, const char *dataset)
{
    struct op op;
    int64_t count = -1;
    prepare(&op, OP_DATASETS, NULL);
    op.datasets.limit = 100;
    ask(b, &op);
    assert_went_well(&op);
    for (size_t i = 0; i < op.datasets.count; i++)
        if (strcmp(op.datasets.views[i].name, dataset) == 0)
            count = op.datasets.views[i].fragments;
    op_release(&op);
    return count;
}

static void a_large_put_lets_a_small_one_by(void **state)
{
    struct bench *b = *state;
    struct many large, small;
    struct op puts[2];
    many_init(&large, 20000, 500);
    many_init(&small, 1, 1);
    prepare_put(&puts[0], "large", &large);
    prepare_put(&puts[1], "small", &small);
    assert_true(STEP(b, &puts[0]));
    assert_false(is_answered(&puts[0]));
    assert_true(STEP(b, &puts[1]));
    assert_true(is_answered(&puts[1]));
    assert_false(is_answered(&puts[0]));
    int steps = 0;
    for (; !is_answered(&puts[0]); steps++) {
        assert_int_equal(engine_next_us(b->engine), 0);
        pass_time(b, 0);
    }
    assert_in_range(steps, 5, 100);
    assert_went_well(&puts[0]);
    assert_int_equal(puts[0].fragments_put.stored, 20000);
    assert_int_equal(stored_of(b, "large"), 20000);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    many_release(&large);
    many_release(&small);
}

static void a_put_that_cannot_be_stored_is_told_and_may_come_again(void **state)
{
    struct bench *b = *state;
    struct many m;
    struct op op;
    many_init(&m, 5000, 10);
    prepare_put(&op, "d", &m);
    plan_fault("store.commit:2:full");
    ask(b, &op);
    no_faults();
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    assert_in_range(stored_of(b, "d"), 1, 4999);
    prepare_put(&op, "d", &m);
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(stored_of(b, "d"), 5000);
    many_release(&m);
}

static void who_waits_is_told_when_the_engine_ends(void **state)
{
    struct bench *b = *state;
    struct many m;
    struct op op;
    many_init(&m, 20000, 500);
    prepare_put(&op, "d", &m);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    engine_end_waits(b->engine);
    assert_true(is_answered(&op));
    assert_int_equal(op.err.code, ERR_BUSY);
    many_release(&m);
}

static void doubt_is_told_to_everybody(void **state)
{
    struct bench *b = *state;
    struct many m;
    struct op op;
    many_init(&m, 20000, 500);
    prepare_put(&op, "d", &m);
    plan_fault("store.committed:1:fail");
    assert_false(STEP(b, &op));
    no_faults();
    assert_ptr_equal(op.context, (void *)1);
    assert_int_equal(op.err.code, ERR_FATAL);
    many_release(&m);
}

/* All lines of a dataset, read portion by portion. */
static size_t read_all(struct bench *b, struct op *op, size_t *portions)
{
    size_t lines = 0;
    *portions = 0;
    do {
        op->context = NULL;
        ask(b, op);
        assert_went_well(op);
        const struct buf *text = &op->fragments_read.lines;
        assert_in_range(text->len, 1, 300 << 10);
        for (size_t i = 0; i < text->len; i++)
            lines += text->data[i] == '\n';
        ++*portions;
    } while (op->fragments_read.more);
    return lines;
}

static void reading_comes_in_portions(void **state)
{
    struct bench *b = *state;
    struct many m;
    struct op op;
    size_t portions = 0;
    many_init(&m, 3000, 500);
    prepare_put(&op, "d", &m);
    ask(b, &op);
    prepare(&op, OP_FRAGMENTS_READ, NULL);
    op.fragments_read.dataset = STR("d");
    op.fragments_read.limit = 2500;
    assert_int_equal(read_all(b, &op, &portions), 2500);
    assert_in_range(portions, 4, 10);
    assert_true(op.fragments_read.has_next);
    assert_true(str_is(buf_str(&op.fragments_read.last), "002499"));
    op_release(&op);
    prepare(&op, OP_FRAGMENTS_READ, NULL);
    op.fragments_read.dataset = STR("d");
    op.fragments_read.after = STR("002499");
    op.fragments_read.limit = 500;
    assert_int_equal(read_all(b, &op, &portions), 500);
    assert_false(op.fragments_read.has_next);
    op_release(&op);
    many_release(&m);
}

static void reading_what_is_not_there_is_told(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare(&op, OP_FRAGMENTS_READ, NULL);
    op.fragments_read.dataset = STR("d");
    op.fragments_read.limit = 1;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no dataset");
    op_release(&op);
    prepare(&op, OP_FRAGMENTS_DELETE, NULL);
    op.fragments_delete.dataset = STR("d");
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no dataset");
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_large_put_lets_a_small_one_by),
        ENGINE_TEST(a_put_that_cannot_be_stored_is_told_and_may_come_again),
        ENGINE_TEST(who_waits_is_told_when_the_engine_ends),
        ENGINE_TEST(doubt_is_told_to_everybody),
        ENGINE_TEST(reading_comes_in_portions),
        ENGINE_TEST(reading_what_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
