/* error_file.c: see error_file.h. */
#include "engine/error_file.h"

#include "base/file.h"
#include "base/json.h"

#include <fcntl.h>
#include <stdlib.h>

/* A line of ours is shorter: reasons are capped. */
enum { LOOK_BYTES = 1 << 20 };

static bool has_all(struct str line, const char *const *members, size_t count)
{
    struct str raw;
    for (size_t i = 0; i < count; i++)
        if (!json_find(line, members[i], &raw))
            return false;
    return true;
}

/* Whether it begins with a line as data_job_error_line writes them, or the programs whose lists are
 * of the form that holds records. */
static bool is_list(struct str text)
{
    static const char *const members[] = {"record", "kind", "reason", "at"};
    static const char *const of_records[] = {"record_id", "error_message", "original_record"};
    const char *end = memchr(text.ptr, '\n', text.len);
    struct str line = {text.ptr, end ? (size_t)(end - text.ptr) : 0};
    if (!line.len || *line.ptr != '{' || !json_check(line, NULL, NULL))
        return false;
    return has_all(line, members, sizeof members / sizeof *members) ||
           has_all(line, of_records, sizeof of_records / sizeof *of_records);
}

bool error_file_may_begin(const struct folders *folders, const char *path, struct err *err)
{
    struct err missing;
    size_t got = 0;
    OWNED_FD int fd = -1;
    if (!folders_open(folders, path, O_RDONLY, &fd, NULL, &missing)) {
        bool nothing = missing.code == ERR_NOT_FOUND;
        *err = nothing ? *err : missing;
        return nothing;
    }
    OWNED_MEM char *text = malloc(LOOK_BYTES);
    if (!text)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!file_read_at(fd, 0, text, LOOK_BYTES, &got, path, err))
        return false;
    return got == 0 || is_list((struct str){text, got}) ||
           err_set(err, ERR_CONFLICT,
                   "%s is a file that no job has made, and failed records would be listed there: "
                   "move it away or write to another output",
                   path);
}
