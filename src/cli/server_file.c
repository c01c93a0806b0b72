/* server_file.c: see server_file.h. */
#include "cli/server_file.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1 << 20 };

static void write_members(struct buf *out, const char *url, const char *const *data_dirs,
                          size_t count)
{
    struct json_out o;
    char at[CLOCK_TEXT_SIZE];
    clock_text(clock_now().wall_us, at);
    json_out_init(&o, out);
    json_out_open(&o, '{');
    if (url) {
        json_out_name(&o, "pid");
        json_out_i64(&o, getpid());
        json_out_name(&o, "url");
        json_out_text(&o, url);
        json_out_name(&o, "started_at");
        json_out_text(&o, at);
    }
    json_out_name(&o, "version");
    json_out_text(&o, PENSTOCK_VERSION);
    json_out_name(&o, "data");
    json_out_open(&o, '[');
    for (size_t i = 0; i < count; i++)
        json_out_text(&o, data_dirs[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    buf_add_char(out, '\n');
}

bool server_file_write(const char *state_dir, const char *url, const char *const *data_dirs,
                       size_t count, struct err *err)
{
    OWNED_BUF struct buf text;
    OWNED_MEM char *path = xasprintf("%s/server.json", state_dir);
    OWNED_MEM char *fresh = xasprintf("%s/server.json.new", state_dir);
    buf_init(&text, FILE_MAX_BYTES);
    write_members(&text, url, data_dirs, count);
    OWNED_FD int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "%s", fresh);
    if (!file_write_at(fd, 0, text.data, text.len, fresh, err))
        return false;
    if (rename(fresh, path) != 0)
        return err_errno(err, errno, "%s", path);
    return true;
}

bool server_file_data_dirs(const char *state_dir, char ***out, struct err *err)
{
    OWNED_BUF struct buf text;
    OWNED_MEM char *path = xasprintf("%s/server.json", state_dir);
    struct str data, item;
    size_t count = 0;
    struct json j;
    buf_init(&text, FILE_MAX_BYTES);
    char **dirs = xcalloc(1, sizeof *dirs);
    if (!file_read_all(path, FILE_MAX_BYTES, &text, err)) {
        *out = dirs;
        bool missing = err->code == ERR_NOT_FOUND;
        if (!missing)
            server_file_free(dirs);
        return missing;
    }
    if (!json_check(buf_str(&text), NULL, NULL) || !json_find(buf_str(&text), "data", &data)) {
        server_file_free(dirs);
        return err_set(err, ERR_STORE, "%s is damaged; remove it", path);
    }
    json_open(&j, data);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item)) {
            char *dir = json_take_text(item);
            if (!dir)
                continue;
            dirs = xrealloc(dirs, (count + 2) * sizeof *dirs);
            dirs[count++] = dir;
            dirs[count] = NULL;
        }
    *out = dirs;
    return true;
}

void server_file_free(char **data_dirs)
{
    for (size_t i = 0; data_dirs && data_dirs[i]; i++)
        free(data_dirs[i]);
    free(data_dirs);
}
