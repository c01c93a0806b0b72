/* server.json: written in one step, read back, and what damage does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/server_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-server-file-XXXXXX";

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static void put(const char *text)
{
    OWNED_MEM char *path = path_of("server.json");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"server.json", "server.json.new"};
    for (size_t i = 0; i < 2; i++) {
        OWNED_MEM char *path = path_of(names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static void the_data_folders_are_read_back(void **state)
{
    (void)state;
    struct err err;
    char **dirs = NULL;
    static const char *const wanted[] = {"/a b", "/ü\"\\"};
    assert_true(server_file_write(dir, "http://127.0.0.1:1", wanted, 2, &err));
    assert_true(server_file_data_dirs(dir, &dirs, &err));
    assert_string_equal(dirs[0], wanted[0]);
    assert_string_equal(dirs[1], wanted[1]);
    assert_null(dirs[2]);
    server_file_free(dirs);
}

static void a_server_that_ended_leaves_its_folders_and_no_number(void **state)
{
    (void)state;
    struct err err;
    OWNED_BUF struct buf text;
    struct str value;
    OWNED_MEM char *path = path_of("server.json");
    static const char *const folder[] = {"/a"};
    buf_init(&text, 4096);
    assert_true(server_file_write(dir, "http://127.0.0.1:1", folder, 1, &err));
    assert_true(server_file_write(dir, NULL, folder, 1, &err));
    assert_true(file_read_all(path, 4096, &text, &err));
    assert_false(json_find(buf_str(&text), "pid", &value));
    assert_true(json_find(buf_str(&text), "data", &value));
}

static void none_is_no_folders_and_damage_is_said(void **state)
{
    (void)state;
    struct err err;
    char **dirs = NULL;
    assert_true(server_file_data_dirs(dir, &dirs, &err));
    assert_null(dirs[0]);
    server_file_free(dirs);
    static const char *const damaged[] = {"", "{\"pid\":", "{}"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put(damaged[i]);
        assert_false(server_file_data_dirs(dir, &dirs, &err));
        assert_int_equal(err.code, ERR_STORE);
    }
}

static void a_folder_that_is_gone_is_an_error(void **state)
{
    (void)state;
    struct err err;
    assert_false(server_file_write("/nonexistent", NULL, NULL, 0, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_data_folders_are_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_ended_leaves_its_folders_and_no_number,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_is_no_folders_and_damage_is_said, set_up, tear_down),
        cmocka_unit_test(a_folder_that_is_gone_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
