/* test_note_store.c: notes of records in the store, on every engine. */
#include "store_fixture.h"

#include "store/note_store.h"

struct heard {
    char text[NOTE_KIND_COUNT][256];
};

static void hear(void *context, enum note_kind kind, struct str notes)
{
    struct heard *heard = context;
    strncat(heard->text[kind], notes.ptr, notes.len);
}

static void notes_come_back_by_kind_and_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct heard heard = {{""}};
    fixture_begin(f);
    int64_t job = fixture_job(f, "a"), other = fixture_job(f, "b");
    OK(f, note_store_add(f->tx, job, NOTE_SKIPPED, STR("0123456789abcdef"), &f->err));
    OK(f, note_store_add(f->tx, job, NOTE_WRITTEN, STR("ABCDEFGHIJKLMNOP"), &f->err));
    OK(f, note_store_add(f->tx, job, NOTE_SKIPPED, STR("ghijklmnopqrstuv"), &f->err));
    OK(f, note_store_add(f->tx, other, NOTE_SKIPPED, STR("................"), &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    OK(f, note_store_load(f->tx, job, hear, &heard, &f->err));
    assert_string_equal(heard.text[NOTE_SKIPPED], "0123456789abcdefghijklmnopqrstuv");
    assert_string_equal(heard.text[NOTE_WRITTEN], "ABCDEFGHIJKLMNOP");
    OK(f, note_store_clear(f->tx, job, NOTE_SKIPPED, &f->err));
    heard = (struct heard){{""}};
    OK(f, note_store_load(f->tx, job, hear, &heard, &f->err));
    assert_string_equal(heard.text[NOTE_SKIPPED], "");
    assert_string_equal(heard.text[NOTE_WRITTEN], "ABCDEFGHIJKLMNOP");
    heard = (struct heard){{""}};
    OK(f, note_store_load(f->tx, other, hear, &heard, &f->err));
    assert_string_equal(heard.text[NOTE_SKIPPED], "................");
    fixture_roll_back(f);
}

static void notes_need_their_job_and_go_with_it(void **state)
{
    struct fixture *f = *state;
    struct heard heard = {{""}};
    fixture_begin(f);
    int64_t job = fixture_job(f, "a");
    fixture_commit(f);
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND,
            note_store_add(f->tx, job + 7, NOTE_SKIPPED, STR("0123456789abcdef"), &f->err));
    fixture_roll_back(f);
    fixture_begin(f);
    OK(f, note_store_add(f->tx, job, NOTE_SKIPPED, STR("0123456789abcdef"), &f->err));
    OK(f, job_store_delete(f->tx, &job, 1, &f->err));
    OK(f, note_store_load(f->tx, job, hear, &heard, &f->err));
    assert_string_equal(heard.text[NOTE_SKIPPED], "");
    fixture_commit(f);
}

static void damaged_notes_are_told(void **state)
{
    struct fixture *f = *state;
    struct heard heard = {{""}};
    fixture_begin(f);
    int64_t job = fixture_job(f, "a");
    OK(f, note_store_add(f->tx, job, NOTE_SKIPPED, STR("too short"), &f->err));
    REFUSED(f, ERR_STORE, note_store_load(f->tx, job, hear, &heard, &f->err));
    fixture_roll_back(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(notes_come_back_by_kind_and_in_their_order),
        CASE(notes_need_their_job_and_go_with_it),
        CASE(damaged_notes_are_told),
    };
    return RUN(cases);
}
