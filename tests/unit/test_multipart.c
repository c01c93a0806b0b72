/* test_multipart.c: forms, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/multipart.h"

#include <stdlib.h>

/* What was told, as text: "[name|filename|type:bytes]". */
static bool note_begin(void *context, const struct multipart_part *part, struct err *err)
{
    struct buf *out = context;
    (void)err;
    buf_add_char(out, '[');
    buf_add_str(out, part->name);
    buf_add_char(out, '|');
    if (part->filename.ptr)
        buf_add_str(out, part->filename);
    else
        buf_add_char(out, '-');
    buf_add_char(out, '|');
    if (part->content_type.ptr)
        buf_add_str(out, part->content_type);
    else
        buf_add_char(out, '-');
    buf_add_char(out, ':');
    return true;
}

static bool note_bytes(void *context, struct str piece, struct err *err)
{
    (void)err;
    assert_true(piece.len > 0);
    buf_add_str(context, piece);
    return true;
}

static bool note_end(void *context, struct err *err)
{
    (void)err;
    buf_add_char(context, ']');
    return true;
}

/* Reads the body in pieces of that many bytes; whether it went well. */
static bool read_form(const char *type, struct str body, size_t step, struct buf *told,
                      struct err *err)
{
    struct multipart_taker taker = {note_begin, note_bytes, note_end, told};
    OWNED(multipart) struct multipart *m = NULL;
    told->len = 0;
    if (!multipart_new(type, &taker, &m, err))
        return false;
    for (size_t at = 0; at < body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;
        if (!multipart_take(m, (struct str){body.ptr + at, len}, err))
            return false;
    }
    return multipart_end(m, err);
}

static void assert_form(const char *type, const char *body, const char *wanted)
{
    OWNED_BUF struct buf told;
    struct err err = {0};
    buf_init(&told, BUF_NO_CAP);
    for (size_t step = 1; step <= strlen(body) + 1; step++) {
        if (!read_form(type, str_of(body), step, &told, &err))
            fail_msg("in pieces of %zu: %s", step, err.text);
        if (!str_is(buf_str(&told), wanted))
            fail_msg("in pieces of %zu: %.*s", step, (int)told.len, told.data);
    }
}

#define TYPE "multipart/form-data; boundary=XX"
#define HEAD "Content-Disposition: form-data; name=\"a\"\r\n\r\n"

static void forms_are_read(void **state)
{
    (void)state;
    assert_form(TYPE, "--XX\r\n" HEAD "bytes\r\n--XX--\r\n", "[a|-|-:bytes]");
    assert_form(TYPE, "--XX\r\n" HEAD "\r\n--XX--", "[a|-|-:]");
    assert_form(TYPE, "\r\n--XX \r\n" HEAD "1\r\n--XX\r\n" HEAD "2\r\n--XX--tail",
                "[a|-|-:1][a|-|-:2]");
    assert_form(TYPE, "before\r\n--XX\r\n\r\nbare\r\n--XX--", "[|-|-:bare]");
    assert_form(TYPE,
                "--XX\r\ncontent-type: text/csv\r\nContent-Disposition: form-data;"
                " name=\"upload-file\"; filename=\"caf\xc3\xa9 %22x%22;a=b.csv\"\r\n\r\n"
                "\r\r\n\r\n--X\r\n-\r\n--XX--",
                "[upload-file|caf\xc3\xa9 \"x\";a=b.csv|text/csv:\r\r\n\r\n--X\r\n-]");
    assert_form("Multipart/Form-Data; charset=x; Boundary=\"a b\"", "--a b\r\n" HEAD "x\r\n--a b--",
                "[a|-|-:x]");
}

/* What looks like a boundary and is none, at every place of a piece. */
static void bytes_like_boundaries_stay_bytes(void **state)
{
    static const char bytes[] = "\r\n--X\r\n--\r\n-\r\r\n--X--\r\n--Y\rX\n--XX\r\n\r\n--";
    OWNED_BUF struct buf body;
    OWNED_BUF struct buf told;
    struct err err = {0};
    (void)state;
    buf_init(&body, BUF_NO_CAP);
    buf_init(&told, BUF_NO_CAP);
    buf_add_text(&body, "--XX\r\n" HEAD);
    for (int i = 0; i < 50; i++)
        buf_add(&body, bytes, sizeof bytes); /* with its NUL */
    buf_add_text(&body, "\r\n--XX--\r\n");
    for (size_t step = 1; step < 200; step++) {
        assert_true(read_form(TYPE, buf_str(&body), step, &told, &err));
        assert_int_equal(told.len, strlen("[a|-|-:]") + 50 * sizeof bytes);
        for (size_t i = 0; i < 50; i++)
            assert_memory_equal(told.data + 7 + i * sizeof bytes, bytes, sizeof bytes);
    }
}

static bool refuse(void *context, struct str piece, struct err *err)
{
    (void)context, (void)piece;
    return err_set(err, ERR_NO_SPACE, "the disk is full");
}

static void a_taker_ends_it(void **state)
{
    struct multipart_taker taker = {note_begin, refuse, note_end, NULL};
    OWNED_BUF struct buf told;
    OWNED(multipart) struct multipart *m = NULL;
    struct err err = {0};
    (void)state;
    buf_init(&told, BUF_NO_CAP);
    taker.context = &told;
    assert_true(multipart_new(TYPE, &taker, &m, &err));
    assert_false(multipart_take(m, STR("--XX\r\n" HEAD "bytes"), &err));
    assert_int_equal(err.code, ERR_NO_SPACE);
}

static void what_is_no_form_is_refused(void **state)
{
    OWNED_BUF struct buf told;
    struct err err = {0};
    static const char *const types[] = {NULL,
                                        "",
                                        "text/plain",
                                        "multipart/form-data",
                                        "multipart/form-data; boundary=",
                                        "multipart/form-data; boundary=\"\""};
    static const char *const bodies[] = {
        "", "--XX", "--XX\r\n", "--XX\r\n" HEAD "x", "--XX\r\n" HEAD "x\r\n--XX", "--XXY", "x"};
    (void)state;
    buf_init(&told, BUF_NO_CAP);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_false(read_form(types[i], STR("--XX--"), 1, &told, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_false(read_form(TYPE, str_of(bodies[i]), 3, &told, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void headers_and_parts_have_an_end(void **state)
{
    OWNED_BUF struct buf told;
    OWNED_BUF struct buf body;
    struct err err = {0};
    (void)state;
    buf_init(&told, BUF_NO_CAP);
    buf_init(&body, BUF_NO_CAP);
    buf_add_text(&body, "--XX\r\nx:");
    for (int i = 0; i < 20000; i++)
        buf_add_char(&body, 'x');
    assert_false(read_form(TYPE, buf_str(&body), 1000, &told, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    body.len = 0;
    for (int i = 0; i < 101; i++)
        buf_add_text(&body, "\r\n--XX\r\n" HEAD "x");
    assert_false(read_form(TYPE, buf_str(&body), 1000, &told, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_read),
        cmocka_unit_test(bytes_like_boundaries_stay_bytes),
        cmocka_unit_test(a_taker_ends_it),
        cmocka_unit_test(what_is_no_form_is_refused),
        cmocka_unit_test(headers_and_parts_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
