/* io_temp.h: a data folder of its own for each test of sources and sinks. Included by the tests. */
#ifndef PENSTOCK_TESTS_IO_TEMP_H
#define PENSTOCK_TESTS_IO_TEMP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/file.h"
#include "core/job.h"
#include "io/folder.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp {
    char dir[64];
    struct folders *folders;
    struct data_spec spec;
    struct err err;
};

static inline int temp_begin(void **state)
{
    struct temp *t = xcalloc(1, sizeof *t);
    strcpy(t->dir, "/tmp/penstock-unit-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->folders = folders_new();
    assert_true(folders_add(t->folders, t->dir, &t->err));
    data_spec_init(&t->spec);
    *state = t;
    return 0;
}

static inline int temp_remove_one(const char *path, const struct stat *st, int kind,
                                  struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static inline int temp_end(void **state)
{
    struct temp *t = *state;
    nftw(t->dir, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    folders_free(t->folders);
    data_spec_release(&t->spec);
    free(t);
    return 0;
}

/* "<dir>/<name>", valid until the next call. */
static inline const char *temp_path(struct temp *t, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    return path;
}

static inline void temp_put(struct temp *t, const char *name, int flags, const void *bytes,
                            size_t len)
{
    OWNED_FD int fd = open(temp_path(t, name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
}

static inline void temp_write(struct temp *t, const char *name, const char *text)
{
    temp_put(t, name, O_TRUNC, text, strlen(text));
}

static inline void temp_append(struct temp *t, const char *name, const char *text)
{
    temp_put(t, name, O_APPEND, text, strlen(text));
}

static inline void assert_file(struct temp *t, const char *name, const char *text)
{
    struct buf got;
    buf_init(&got, BUF_NO_CAP);
    assert_true(file_read_all(temp_path(t, name), SIZE_MAX, &got, &t->err));
    if (!str_is(buf_str(&got), text))
        fail_msg("%s holds \"%.*s\", not \"%s\"", name, (int)got.len, got.data, text);
    buf_release(&got);
}

static inline void assert_error(struct temp *t, enum err_code code, const char *part)
{
    if (t->err.code != code || !strstr(t->err.text, part))
        fail_msg("error is %s \"%s\", not %s \"%s\"", err_name(t->err.code), t->err.text,
                 err_name(code), part);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, temp_begin, temp_end)

#endif
