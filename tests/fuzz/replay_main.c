/* replay_main.c: runs a fuzz target over the files of folders, where there is no libFuzzer.
 *
 *     replay_<noun> FOLDER...
 *
 * Each input lies in an allocation of its very size, so that ASan and valgrind see a read behind
 * it. No file at all is an error: then the folder is the wrong one. */
#include "base/file.h"
#include "base/own.h"
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

#define MAX_INPUT_BYTES (16 << 20)

static bool replay_file(const char *path, struct err *err)
{
    OWNED_BUF struct buf file;
    buf_init(&file, MAX_INPUT_BYTES);
    if (!file_read_all(path, MAX_INPUT_BYTES, &file, err))
        return false;
    OWNED_MEM uint8_t *input = xcalloc(file.len + !file.len, 1);
    if (file.len)
        memcpy(input, file.data, file.len);
    LLVMFuzzerTestOneInput(input, file.len);
    return true;
}

static bool replay_folder(const char *folder, int *count, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, ERR_NOT_FOUND, "no folder %s", folder);
    bool ok = true;
    struct dirent *entry;
    while (ok && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        OWNED_MEM char *path = xasprintf("%s/%s", folder, entry->d_name);
        ok = replay_file(path, err);
        ++*count;
    }
    closedir(dir);
    return ok;
}

int main(int argc, char **argv)
{
    struct err err = {.code = ERR_NONE};
    int count = 0;
    for (int i = 1; i < argc; i++)
        if (!replay_folder(argv[i], &count, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    if (!count) {
        fprintf(stderr, "nothing to replay\n");
        return 1;
    }
    printf("%d inputs replayed\n", count);
    return 0;
}
