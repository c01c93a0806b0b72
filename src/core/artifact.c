/* artifact.c: see artifact.h. */
#include "core/artifact.h"

#include <inttypes.h>
#include <stdlib.h>

const char *const artifact_kind_names[ARTIFACT_KIND_COUNT] = {"upload", "output"};

struct artifact *artifact_new(void)
{
    struct artifact *a = xcalloc(1, sizeof *a);
    atomic_init(&a->refs, 1);
    return a;
}

struct artifact *artifact_copy(const struct artifact *a)
{
    struct artifact *copy = artifact_new();
    copy->id = a->id;
    copy->owner = xstrdup(a->owner);
    copy->created_by = xstrdup(a->created_by);
    copy->name = xstrdup(a->name);
    copy->media_type = xstrdup(a->media_type);
    copy->folder = xstrdup(a->folder);
    copy->folder_id = a->folder_id;
    copy->comment = xstrdup_or_null(a->comment);
    step_tags_copy(&a->tags, &copy->tags);
    copy->kind = a->kind;
    copy->hidden = a->hidden;
    copy->secret = a->secret;
    copy->deletable = a->deletable;
    copy->created_at_us = a->created_at_us;
    copy->bytes = a->bytes;
    memcpy(copy->hash, a->hash, sizeof copy->hash);
    copy->used = a->used;
    copy->job = a->job;
    copy->step = a->step;
    copy->slot = a->slot;
    copy->place = a->place;
    copy->fence = a->fence;
    return copy;
}

const struct artifact *artifact_hold(const struct artifact *a)
{
    atomic_fetch_add(&((struct artifact *)(uintptr_t)a)->refs, 1);
    return a;
}

void artifact_free(const struct artifact *a)
{
    struct artifact *own = (struct artifact *)(uintptr_t)a;
    if (!own || atomic_fetch_sub(&own->refs, 1) > 1)
        return;
    free(own->owner);
    free(own->created_by);
    free(own->name);
    free(own->media_type);
    free(own->folder);
    free(own->comment);
    step_tags_release(&own->tags);
    free(own);
}

bool artifact_may_go(const struct artifact *a, struct err *err)
{
    if (a->used > 0)
        return err_set(err, ERR_CONFLICT,
                       "artifact %" PRId64 " is an input of %" PRId64 " jobs: delete them first",
                       a->id, a->used);
    return a->deletable ||
           err_set(err, ERR_CONFLICT, "artifact %" PRId64 " is not deletable: allow that first",
                   a->id);
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return true;
    return false;
}

bool artifact_name_check(struct str name, struct err *err)
{
    if (name.len > 0 && name.len <= ARTIFACT_NAME_MAX_BYTES && str_is_utf8(name) &&
        !has_control(name))
        return true;
    return err_set(err, ERR_INVALID,
                   "name: expected 1 to %d bytes of UTF-8 without control characters",
                   ARTIFACT_NAME_MAX_BYTES);
}

bool artifact_media_type_check(struct str type, struct err *err)
{
    bool good = type.len > 0 && type.len <= ARTIFACT_MEDIA_TYPE_MAX_BYTES && type.ptr[0] != '/' &&
                memchr(type.ptr, '/', type.len);
    for (size_t i = 0; i < type.len; i++)
        good = good && type.ptr[i] >= ' ' && type.ptr[i] < 0x7f;
    return good || err_set(err, ERR_INVALID, "media type: expected one like text/csv");
}

bool step_folder_make(struct str path, char **out, struct err *err)
{
    bool good = path.len > 0 && path.ptr[0] == '/' && path.len <= ARTIFACT_NAME_MAX_BYTES &&
                str_is_utf8(path) && !has_control(path);
    for (size_t i = 1; i < path.len; i++)
        good = good && (path.ptr[i] != '/' || path.ptr[i - 1] != '/');
    if (!good)
        return err_set(err, ERR_INVALID, "folder: expected a path like /a/b/");
    bool ended = path.ptr[path.len - 1] == '/';
    int depth = path.len == 1 ? 0 : !ended;
    for (size_t i = 1; i < path.len; i++)
        depth += path.ptr[i] == '/';
    if (depth > STEP_FOLDER_DEPTH_MAX)
        return err_set(err, ERR_INVALID, "folder: at most %d deep", STEP_FOLDER_DEPTH_MAX);
    *out = xasprintf("%.*s%s", (int)path.len, path.ptr, ended ? "" : "/");
    return true;
}
