/* test_key_store.c: API keys in the store, on every engine. */
#include "store_fixture.h"

static struct key_row key_of(const char *name, uint8_t salt)
{
    struct key_row row = {.created_at_us = 5};
    row.name = xstrdup(name);
    row.scopes = xstrdup("read work");
    memset(row.hash, salt, sizeof row.hash);
    return row;
}

struct expected_keys {
    const struct key_row *rows;
    size_t count, seen;
};

static bool key_as_expected(void *context, struct key_row *row, struct err *err)
{
    struct expected_keys *expected = context;
    (void)err;
    assert_true(expected->seen < expected->count);
    const struct key_row *want = &expected->rows[expected->seen++];
    assert_int_equal(row->id, want->id);
    assert_string_equal(row->name, want->name);
    assert_string_equal(row->scopes, want->scopes);
    assert_memory_equal(row->hash, want->hash, sizeof row->hash);
    assert_int_equal(row->created_at_us, want->created_at_us);
    assert_int_equal(row->revoked_at_us, want->revoked_at_us);
    key_row_release(row);
    return true;
}

static void keys_come_back_and_a_revoked_name_can_be_given_again(void **state)
{
    struct fixture *f = *state;
    struct key_row rows[3] = {key_of("работник", 1), key_of("b", 2), key_of("работник", 3)};
    fixture_begin(f);
    OK(f, key_store_insert(f->tx, &rows[0], &f->err));
    OK(f, key_store_insert(f->tx, &rows[1], &f->err));
    OK(f, key_store_revoke(f->tx, rows[0].name, 99, &f->err));
    OK(f, key_store_insert(f->tx, &rows[2], &f->err));
    fixture_commit(f);
    rows[0].revoked_at_us = 99;
    fixture_reopen(f);
    fixture_begin(f);
    struct expected_keys want = {.rows = rows, .count = 3};
    OK(f, key_store_load(f->tx, key_as_expected, &want, &f->err));
    assert_int_equal(want.seen, 3);
    fixture_roll_back(f);
    for (int i = 0; i < 3; i++)
        key_row_release(&rows[i]);
}

static void a_key_whose_name_is_in_force_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct key_row first = key_of("ci", 1), second = key_of("ci", 2);
    fixture_begin(f);
    OK(f, key_store_insert(f->tx, &first, &f->err));
    REFUSED(f, ERR_CONFLICT, key_store_insert(f->tx, &second, &f->err));
    assert_int_equal(second.id, 0);
    fixture_commit(f); /* it was an answer */
    key_row_release(&first);
    key_row_release(&second);
}

static void revoking_what_is_not_in_force_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct key_row key = key_of("ci", 1);
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, key_store_revoke(f->tx, "ci", 1, &f->err));
    OK(f, key_store_insert(f->tx, &key, &f->err));
    OK(f, key_store_revoke(f->tx, "ci", 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, key_store_revoke(f->tx, "ci", 2, &f->err));
    fixture_commit(f);
    key_row_release(&key);
}

static bool stop_key(void *context, struct key_row *row, struct err *err)
{
    (void)context;
    key_row_release(row);
    return err_set(err, ERR_LIMIT, "enough");
}

static void a_key_that_is_not_taken_ends_the_load(void **state)
{
    struct fixture *f = *state;
    struct key_row key = key_of("ci", 1);
    fixture_begin(f);
    OK(f, key_store_insert(f->tx, &key, &f->err));
    REFUSED(f, ERR_LIMIT, key_store_load(f->tx, stop_key, NULL, &f->err));
    fixture_roll_back(f);
    key_row_release(&key);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(keys_come_back_and_a_revoked_name_can_be_given_again),
        CASE(a_key_whose_name_is_in_force_is_a_conflict),
        CASE(revoking_what_is_not_in_force_is_not_found),
        CASE(a_key_that_is_not_taken_ends_the_load),
    };
    return RUN(cases);
}
