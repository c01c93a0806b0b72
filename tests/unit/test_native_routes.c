/* The OpenAPI document and the tables of routes tell of the same calls. */
#include "base/json.h"
#include "http/native/native_pages.h"
#include "http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

static const struct surface *const surfaces[] = {&native_surface, &planchet_surface};
enum { SURFACES = sizeof surfaces / sizeof *surfaces };

static struct str document(void)
{
    return (struct str){page_openapi_json.bytes, page_openapi_json.len};
}

static bool is_method(const char *name)
{
    static const char *const methods[] = {"get", "put", "post", "delete", "patch", "head"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(name, methods[i]) == 0)
            return true;
    return false;
}

/* Whether the document has the call. */
static bool is_documented(const char *method, const char *path)
{
    struct str paths, item, operation;
    char lower[16] = "";
    for (size_t i = 0; method[i] && i < sizeof lower - 1; i++)
        lower[i] = (char)(method[i] | 0x20);
    assert_true(json_find(document(), "paths", &paths));
    return json_find(paths, path, &item) && json_find(item, lower, &operation);
}

static bool is_routed(const char *method, const char *path)
{
    for (size_t s = 0; s < SURFACES; s++)
        for (size_t i = 0; i < surfaces[s]->route_count; i++) {
            const struct route *route = &surfaces[s]->routes[i];
            if (strcasecmp(route->method, method) == 0 && strcmp(route->path, path) == 0)
                return true;
        }
    return false;
}

static void the_document_is_json_without_blanks(void **state)
{
    (void)state;
    assert_true(json_check(document(), NULL, NULL));
    assert_null(memchr(document().ptr, '\n', document().len));
}

static void the_document_has_the_program_s_version(void **state)
{
    (void)state;
    struct str info = {0}, version = {0};
    assert_true(json_find(document(), "info", &info) && json_find(info, "version", &version));
    OWNED_MEM char *text = json_take_text(version);
    assert_string_equal(text, PENSTOCK_VERSION);
}

static void every_route_is_documented(void **state)
{
    (void)state;
    for (size_t s = 0; s < SURFACES; s++)
        for (size_t i = 0; i < surfaces[s]->route_count; i++) {
            const struct route *route = &surfaces[s]->routes[i];
            if (!is_documented(route->method, route->path))
                fail_msg("%s %s is not in the document", route->method, route->path);
        }
}

static void check_item(const char *path, struct str item)
{
    struct json j;
    struct str name, value;
    json_open(&j, item);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &value)) {
        OWNED_MEM char *method = json_take_text(name);
        if (is_method(method) && !is_routed(method, path))
            fail_msg("%s %s is documented and has no route", method, path);
    }
    assert_true(json_end(&j));
}

static void everything_documented_has_a_route(void **state)
{
    (void)state;
    struct str paths, name, item;
    struct json j;
    assert_true(json_find(document(), "paths", &paths));
    json_open(&j, paths);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &item)) {
        OWNED_MEM char *path = json_take_text(name);
        check_item(path, item);
    }
    assert_true(json_end(&j));
}

static void no_two_routes_are_alike(void **state)
{
    (void)state;
    for (size_t s = 0; s < SURFACES; s++)
        for (size_t i = 0; i < surfaces[s]->route_count; i++) {
            const struct route *a = &surfaces[s]->routes[i];
            size_t seen = 0;
            for (size_t t = 0; t < SURFACES; t++)
                for (size_t k = 0; k < surfaces[t]->route_count; k++) {
                    const struct route *b = &surfaces[t]->routes[k];
                    seen += strcmp(a->method, b->method) == 0 && strcmp(a->path, b->path) == 0;
                }
            if (seen != 1)
                fail_msg("%s %s has %zu routes", a->method, a->path, seen);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_json_without_blanks),
        cmocka_unit_test(the_document_has_the_program_s_version),
        cmocka_unit_test(every_route_is_documented),
        cmocka_unit_test(everything_documented_has_a_route),
        cmocka_unit_test(no_two_routes_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
