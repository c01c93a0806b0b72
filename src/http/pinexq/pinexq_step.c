/* pinexq_step.c: documents of steps, and their manifests (pinexq_step.h, pinexq.h). */
#include "http/pinexq/pinexq_step.h"

#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_folder.h"

/* --- properties --- */

static void write_slots(struct siren *s, const char *name, const struct step_slot *slots,
                        size_t count)
{
    struct json_out *o = siren_property(s, name);
    json_out_open(o, '[');
    for (size_t i = 0; i < count; i++) {
        const struct step_slot *slot = &slots[i];
        json_out_open(o, '{');
        json_out_name(o, "Name");
        json_out_text(o, slot->name);
        json_out_name(o, "Title");
        json_out_text(o, slot->title);
        json_out_name(o, "Description");
        json_out_text(o, slot->description);
        json_out_name(o, "MediaType");
        json_out_text(o, slot->media_type);
        json_out_name(o, "IsCollection");
        json_out_bool(o, step_slot_is_collection(slot));
        json_out_name(o, "MinSlots");
        json_out_i64(o, slot->min);
        json_out_name(o, "MaxSlots");
        if (slot->max >= 0)
            json_out_i64(o, slot->max);
        else
            json_out_null(o);
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
}

static void write_properties(struct siren *s, const struct step *step)
{
    const struct step_manifest *m = &step->manifest;
    siren_text(s, "FunctionName", m->name);
    siren_text(s, "Version", m->version);
    siren_text(s, "Title", step->title ? step->title : m->title);
    siren_text(s, "ShortDescription", m->short_description);
    siren_text(s, "LongDescription", m->long_description);
    siren_text(s, "OwnerId", step->owner);
    siren_text(s, "CreatedBy", step->created_by);
    siren_text(s, "CodeHash", step->code_hash);
    siren_text(s, "ProConVersion", m->procon_version);
    siren_text(s, "FolderPath", step->folder);
    siren_flag(s, "HasParameters", step_has_parameters(step));
    siren_flag(s, "IsPublic", step->is_public);
    siren_flag(s, "Hidden", step->hidden);
    siren_flag(s, "IsDeprecated", step->deprecated_at_us != 0);
    siren_tags(s, &step->tags);
    siren_time(s, "CreatedAt", step->created_at_us);
    siren_time(s, "LastModifiedAt", step->modified_at_us);
    siren_time(s, "DeprecatedAt", step->deprecated_at_us);
    siren_text(s, "ReasonForDeprecation", step->deprecation);
    /* JSON as texts: not the values themselves. */
    siren_text(s, "ParameterSchema", m->parameters);
    siren_text(s, "DefaultParameters", step->defaults);
    siren_text(s, "ReturnSchema", m->returns);
    write_slots(s, "InputDataSlotSpecification", m->inputs, m->input_count);
    write_slots(s, "OutputDataSlotSpecification", m->outputs, m->output_count);
    /* Workers come by themselves: nothing is deployed here. */
    siren_text(s, "DeploymentState", "External");
}

/* --- the whole --- */

static bool is_own(const struct request *req, const struct step *step)
{
    struct step_asker by;
    request_step_asker(req, &by);
    return by.everyone || str_is(by.owner, step->owner);
}

static void write_actions(struct siren *s, const struct step_view *view)
{
    static const struct siren_action delete_it = {
        .name = "Delete", .method = "DELETE", .destroys = true};
    struct pinexq_href href = pinexq_thing(PINEXQ_STEP, view->step->id);
    if (view->jobs == 0)
        siren_act(s, &delete_it, &href);
    for (size_t i = 0; i < pinexq_step_action_count; i++) {
        const struct pinexq_step_action *action = &pinexq_step_actions[i];
        href.action = action->siren.name;
        if (!action->may || action->may(view->step))
            siren_act(s, &action->siren, &href);
    }
}

void pinexq_write_step(struct siren *s, const struct request *req, const struct step_view *view,
                       const char *rel)
{
    struct pinexq_href self = pinexq_thing(PINEXQ_STEP, view->step->id), manifest = self;
    manifest.action = "Manifest";
    siren_entity(s, "ProcessingStep", rel);
    write_properties(s, view->step);
    if (request_scope(req) >= SCOPE_ADMIN && is_own(req, view->step))
        write_actions(s, view);
    siren_link(s, "self", &self);
    siren_link_typed(s, "Download", "application/json", &manifest);
    /* A public step of another owner is in a folder that the asker does not see. */
    if (is_own(req, view->step))
        pinexq_folder_link(s, view->step->folder_id);
    siren_end(s);
}

/* --- handlers --- */

static bool ask_show(struct request *req, route_finish *finish, struct err *err)
{
    int64_t id = 0;
    if (!pinexq_path_id(req, &id, err))
        return false;
    struct op *op = request_op(req, OP_STEPS);
    op->steps.verb = STEPS_SHOW;
    request_step_asker(req, &op->steps.by);
    op->steps.id = id;
    return request_call(req, finish);
}

static bool finish_shown(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    struct siren s;
    if (!pinexq_begin(req, &s, &b, err))
        return false;
    pinexq_write_step(&s, req, &op->steps.views[0], NULL);
    return pinexq_reply(reply, &b, err);
}

bool pinexq_step_show(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_show(req, finish_shown, err);
}

static bool finish_manifest(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    (void)req, (void)err;
    reply_content_type(reply, "application/json");
    reply_header(reply, "Cache-Control", "no-store");
    /* The op holds the step until the answer has left. */
    reply_add_borrowed(reply, str_of(op->steps.views[0].step->manifest.text));
    return true;
}

bool pinexq_step_manifest(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return ask_show(req, finish_manifest, err);
}
