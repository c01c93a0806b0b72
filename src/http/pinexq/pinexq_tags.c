/* pinexq_tags.c: which tags are in use (pinexq.h). */
#include "http/pinexq/pinexq.h"
#include "store/step_store.h"

enum { TAGS_MAX = 10000 };

/* The roots that have tags, and what is said of them. */
static const struct tagged {
    const char *root, *class;
    enum step_thing thing;
} tagged[] = {
    {"JobsRoot", "JobUsedTags", STEP_THING_JOB},
    {"ProcessingStepsRoot", "ProcessingStepUsedTags", STEP_THING_STEP},
    {"WorkDataRoot", "WorkDataUsedTagsQueryResult", STEP_THING_ARTIFACT},
};

static bool finish_used(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct tagged *of = request_state(req);
    OWNED_BUF struct buf b;
    OWNED_BUF struct buf path;
    struct siren s;
    buf_init(&path, 100);
    buf_add_format(&path, "/api/%s/UsedTags%c", of->root, 0);
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    siren_entity(&s, of->class, NULL);
    struct json_out *o = siren_property(&s, "Tags");
    json_out_open(o, '[');
    for (size_t i = 0; i < op->step_tags.tags.count; i++)
        json_out_text(o, op->step_tags.tags.items[i]);
    json_out_close(o, ']');
    siren_link(&s, "self", &(struct pinexq_href){.path = path.data});
    siren_end(&s);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_used_tags(struct request *req, struct reply *reply, struct err *err)
{
    struct str root = request_path_param(req, "root");
    (void)reply;
    for (size_t i = 0; i < sizeof tagged / sizeof *tagged; i++) {
        if (!str_is(root, tagged[i].root))
            continue;
        request_set_state(req, (void *)(uintptr_t)&tagged[i]);
        struct op_step_tags *ask = &request_op(req, OP_STEP_TAGS)->step_tags;
        request_step_asker(req, &ask->by);
        ask->thing = (int)tagged[i].thing;
        ask->limit = TAGS_MAX;
        return request_call(req, finish_used);
    }
    return err_set(err, ERR_NOT_FOUND, "there are no tags of that");
}
