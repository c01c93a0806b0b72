/* Siren documents and the addresses in them. */
#include "http/pinexq/siren.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_id_and_its_uuid_are_one(void **state)
{
    (void)state;
    const int64_t ids[] = {1, 255, 0xabcdef, PINEXQ_ID_MAX};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char text[PINEXQ_UUID_CHARS + 1];
        int64_t id = 0;
        pinexq_uuid_write(ids[i], text);
        assert_true(pinexq_uuid_read(str_of(text), &id));
        assert_int_equal(id, ids[i]);
    }
}

static void what_is_no_uuid_of_ours_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "1",
                                      "00000000-0000-8000-8000-000000000000",
                                      "00000000-0000-8000-8000-00000000000g",
                                      "00000000-0000-8000-8000-0000000000011",
                                      "10000000-0000-8000-8000-000000000001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t id = -7;
        assert_false(pinexq_uuid_read(str_of(bad[i]), &id));
        assert_int_equal(id, -7);
    }
}

static void a_url_is_read_whatever_its_host_is(void **state)
{
    (void)state;
    static const char *const good[] = {
        "http://a:1/api/Job/00000000-0000-8000-8000-00000000000A",
        "https://b/behind/api/Job/00000000-0000-8000-8000-00000000000a/",
        "/api/Job/00000000-0000-8000-8000-00000000000a?x=/#y"};
    static const char *const bad[] = {"",
                                      "/",
                                      "http://a/api/Job/",
                                      "http://a/api/WorkData/00000000-0000-8000-8000-00000000000a",
                                      "http://a/Job/00000000-0000-8000-8000-00000000000a",
                                      "00000000-0000-8000-8000-00000000000a",
                                      "http://a/api/Job/10"};
    struct err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t id = 0;
        assert_true(pinexq_url_read("Url", str_of(good[i]), PINEXQ_JOB, &id, &err));
        assert_int_equal(id, 10);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t id = -7;
        assert_false(pinexq_url_read("Url", str_of(bad[i]), PINEXQ_JOB, &id, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_memory_equal(err.text, "Url: ", 5);
        assert_int_equal(id, -7);
    }
}

static void a_root_is_as_clients_normalise_it(void **state)
{
    (void)state;
    static const char *const roots[][2] = {{"http://LocalHost:8080", "http://localhost:8080"},
                                           {"HTTP://a.example:80", "http://a.example"},
                                           {"https://[::1]:443", "https://[::1]"},
                                           {"https://a:80", "https://a:80"}};
    static const char *const bad[] = {
        "", "http://", "http://:80", "ftp://a", "http://a\"b", "http://a/b", "http://a b"};
    struct err err = {0};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        OWNED_BUF struct buf b;
        buf_init(&b, 100);
        assert_true(pinexq_root_make(str_of(roots[i][0]), &b, &err));
        assert_true(str_is(buf_str(&b), roots[i][1]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        OWNED_BUF struct buf b;
        buf_init(&b, 100);
        assert_false(pinexq_root_make(str_of(bad[i]), &b, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(b.len, 0);
    }
}

static void a_document_has_its_parts_in_order(void **state)
{
    (void)state;
    static const struct siren_action start = {.name = "Start", .method = "POST"};
    static const struct siren_action name = {
        .name = "Name", .method = "POST", .parameters = "NameParameters", .value = "{\"a\":1}"};
    static const struct siren_action upload = {.name = "Up", .method = "POST", .uploads = true};
    static const struct siren_action delete_it = {
        .name = "Delete", .method = "DELETE", .destroys = true};
    const struct pinexq_href job = pinexq_thing(PINEXQ_JOB, 1);
    struct pinexq_href slot = job;
    OWNED_BUF struct buf b;
    struct siren s;
    buf_init(&b, BUF_NO_CAP);
    siren_begin(&s, &b, STR("http://h"));
    siren_entity(&s, "Job", NULL);
    siren_text(&s, "Name", "a\"b");
    siren_text(&s, "None", NULL);
    siren_time(&s, "At", INT64_C(1000000000001234));
    siren_time(&s, "Never", 0);
    siren_entity(&s, "Slot", "item");
    siren_end(&s);
    slot.slot = "/Slot/";
    slot.place = 3;
    slot.action = "Start";
    slot.query = STR("a=b");
    siren_act(&s, &start, &slot);
    siren_act(&s, &name, &job);
    siren_act(&s, &upload, &job);
    siren_act(&s, &delete_it, &job);
    siren_link(&s, "self", &job);
    siren_link_typed(&s, "Info", NULL, &(struct pinexq_href){.path = "/api/Info"});
    siren_end(&s);
#define JOB "\"href\":\"http://h/api/Job/00000000-0000-8000-8000-000000000001\""
    static const char wanted[] =
        "{\"class\":[\"Job\"],\"properties\":{\"Name\":\"a\\\"b\",\"None\":null,"
        "\"At\":\"2001-09-09T01:46:40.001234Z\",\"Never\":null},"
        "\"entities\":[{\"class\":[\"Slot\"],\"rel\":[\"item\"],\"properties\":{}}],"
        "\"actions\":[{\"name\":\"Start\",\"method\":\"POST\","
        "\"href\":\"http://h/api/Job/00000000-0000-8000-8000-000000000001/Slot/3/Start?a=b\"},"
        "{\"name\":\"Name\",\"method\":\"POST\"," JOB ",\"type\":\"application/json\","
        "\"fields\":[{\"name\":\"NameParameters\",\"type\":\"application/json\","
        "\"value\":{\"a\":1}}]},"
        "{\"name\":\"Up\",\"method\":\"POST\"," JOB ",\"class\":[\"FileUploadAction\","
        "\"FileUploadActionWithParameter\"],\"type\":\"multipart/form-data\",\"fields\":["
        "{\"name\":\"UploadFile\",\"type\":\"file\",\"allowMultiple\":false}]},"
        "{\"name\":\"Delete\",\"method\":\"DELETE\"," JOB ",\"class\":[\"Destructive\"]}],"
        "\"links\":[{\"rel\":[\"self\"]," JOB ",\"type\":\"application/vnd.siren+json\"},"
        "{\"rel\":[\"Info\"],\"href\":\"http://h/api/Info\"}]}";
    buf_add_char(&b, '\0');
    assert_string_equal(b.data, wanted);
}

static void a_query_is_escaped(void **state)
{
    (void)state;
    OWNED_BUF struct buf b;
    buf_init(&b, 100);
    pinexq_query_escape(&b, STR("a-Z_0.9~ &=\xc3\xa9"));
    assert_true(str_is(buf_str(&b), "a-Z_0.9~%20%26%3D%C3%A9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_and_its_uuid_are_one),
        cmocka_unit_test(what_is_no_uuid_of_ours_is_none),
        cmocka_unit_test(a_url_is_read_whatever_its_host_is),
        cmocka_unit_test(a_root_is_as_clients_normalise_it),
        cmocka_unit_test(a_document_has_its_parts_in_order),
        cmocka_unit_test(a_query_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
