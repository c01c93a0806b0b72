/* pinexq_work_data_document.c: see pinexq_work_data.h. */
#include "http/pinexq/pinexq_work_data.h"

#include "http/pinexq/pinexq_folder.h"

#include <strings.h>

const char *pinexq_media_type(const struct artifact *a)
{
    size_t len = sizeof SIREN_MEDIA_TYPE - 1;
    return strncasecmp(a->media_type, SIREN_MEDIA_TYPE, len) == 0 ? "application/octet-stream"
                                                                  : a->media_type;
}

static void write_properties(struct siren *s, const struct artifact *a)
{
    static const char *const kinds[ARTIFACT_KIND_COUNT] = {
        [ARTIFACT_UPLOAD] = "ClientUpload", [ARTIFACT_OUTPUT] = "ProcessingArtefact"};
    siren_text(s, "Name", a->name);
    siren_text(s, "MediaType", a->media_type);
    siren_text(s, "Comments", a->comment);
    siren_text(s, "OwnerId", a->owner);
    siren_text(s, "CreatedBy", a->created_by);
    siren_text(s, "FolderPath", a->folder);
    siren_time(s, "CreatedAt", a->created_at_us);
    siren_number(s, "SizeInBytes", a->bytes);
    siren_tags(s, &a->tags);
    siren_text(s, "Kind", kinds[a->kind]);
    siren_flag(s, "IsDeletable", a->deletable);
    siren_flag(s, "IsUsedAsJobInput", a->used > 0);
    siren_flag(s, "IsUsedAsTemplateInput", false);
    siren_flag(s, "Hidden", a->hidden);
    siren_flag(s, "Secret", a->secret);
}

/* Whether it is offered at all times, or only where it makes sense. */
enum when { ALWAYS, DELETABLE, VISIBLE, HIDDEN, OPEN };

static const struct {
    struct siren_action action;
    enum when when;
} actions[] = {
    {{.name = "AllowDeletion", .method = "POST"}, ALWAYS},
    {{.name = "DisallowDeletion", .method = "POST"}, ALWAYS},
    {{.name = "EditTags", .method = "POST", .parameters = "SetTagsWorkDataParameters"}, ALWAYS},
    {{.name = "Rename", .method = "POST", .parameters = "RenameWorkDataParameters"}, ALWAYS},
    {{.name = "EditComment", .method = "POST", .parameters = "SetWorkDataCommentParameters"},
     ALWAYS},
    {{.name = "Hide", .method = "POST"}, VISIBLE},
    {{.name = "UnHide", .method = "POST"}, HIDDEN},
    {{.name = "MarkAsSecret", .method = "POST"}, OPEN},
    {{.name = "MoveToFolder", .method = "POST", .parameters = "MoveToFolderParameters"}, ALWAYS},
};

static bool is_offered(const struct artifact *a, enum when when)
{
    struct err ignored;
    switch (when) {
    case ALWAYS:
        return true;
    case DELETABLE:
        return artifact_may_go(a, &ignored);
    case VISIBLE:
        return !a->hidden;
    case HIDDEN:
        return a->hidden;
    case OPEN:
        return !a->secret;
    }
    return false;
}

static void write_actions(struct siren *s, const struct artifact *a)
{
    static const struct siren_action delete_it = {
        .name = "Delete", .method = "DELETE", .destroys = true};
    struct pinexq_href href = pinexq_thing(PINEXQ_WORK_DATA, a->id);
    if (is_offered(a, DELETABLE))
        siren_act(s, &delete_it, &href);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        href.action = actions[i].action.name;
        if (is_offered(a, actions[i].when))
            siren_act(s, &actions[i].action, &href);
    }
}

void pinexq_write_work_data(struct siren *s, const struct artifact *a, const char *rel,
                            bool may_work)
{
    struct pinexq_href self = pinexq_thing(PINEXQ_WORK_DATA, a->id), bytes = self;
    bytes.action = "Content";
    siren_entity(s, "WorkData", rel);
    write_properties(s, a);
    if (may_work)
        write_actions(s, a);
    siren_link(s, "self", &self);
    siren_link_typed(s, "Download", pinexq_media_type(a), &bytes);
    if (a->job)
        siren_link(s, "ProducedByJob", &(struct pinexq_href){.kind = PINEXQ_JOB, .id = a->job});
    if (a->step)
        siren_link(s, "ProducedByProcessingStep",
                   &(struct pinexq_href){.kind = PINEXQ_STEP, .id = a->step});
    pinexq_folder_link(s, a->folder_id);
    siren_end(s);
}
