#include "http/planchet/planchet_faults.h"

#include "base/json.h"

static const struct {
    const char *message, *type;
} texts[] = {
    [FAULT_MISSING] = {"field required", "value_error.missing"},
    [FAULT_NO_BOOL] = {"value could not be parsed to a boolean", "type_error.bool"},
    [FAULT_NO_INTEGER] = {"value is not a valid integer", "type_error.integer"},
    [FAULT_NO_OBJECT] = {"value is not a valid dict", "type_error.dict"},
    [FAULT_NO_LIST] = {"value is not a valid list", "type_error.list"},
    [FAULT_NO_PAIR] = {"value is not a valid tuple", "type_error.tuple"},
    [FAULT_NULL] = {"none is not an allowed value", "type_error.none.not_allowed"},
    [FAULT_LENGTH] = {NULL, "value_error.tuple.length"},
};

void planchet_faults_init(struct planchet_faults *f)
{
    f->count = 0;
    buf_init(&f->entries, 1 << 20);
}

void planchet_faults_release(struct planchet_faults *f)
{
    buf_release(&f->entries);
}

static void write_place(struct json_out *out, struct planchet_place at)
{
    json_out_name(out, "loc");
    json_out_open(out, '[');
    json_out_text(out, at.part);
    json_out_text(out, at.name);
    if (at.index >= 0)
        json_out_i64(out, at.index);
    if (at.field >= 0)
        json_out_i64(out, at.field);
    json_out_close(out, ']');
}

static void add(struct planchet_faults *f, struct planchet_place at, enum planchet_fault fault,
                int64_t length)
{
    if (++f->count > PLANCHET_FAULTS_MAX)
        return;
    if (f->count > 1)
        buf_add_char(&f->entries, ',');
    struct json_out out;
    json_out_init(&out, &f->entries);
    json_out_open(&out, '{');
    write_place(&out, at);
    json_out_name(&out, "msg");
    if (fault == FAULT_LENGTH) {
        OWNED_BUF struct buf message;
        buf_init(&message, 128);
        buf_add_format(&message, "wrong tuple length %lld, expected 2", (long long)length);
        json_out_str(&out, buf_str(&message));
    } else {
        json_out_text(&out, texts[fault].message);
    }
    json_out_name(&out, "type");
    json_out_text(&out, texts[fault].type);
    if (fault == FAULT_LENGTH) {
        json_out_name(&out, "ctx");
        json_out_open(&out, '{');
        json_out_name(&out, "actual_length");
        json_out_i64(&out, length);
        json_out_name(&out, "expected_length");
        json_out_i64(&out, 2);
        json_out_close(&out, '}');
    }
    json_out_close(&out, '}');
}

void planchet_faults_add(struct planchet_faults *f, struct planchet_place at,
                         enum planchet_fault fault)
{
    add(f, at, fault, 0);
}

void planchet_faults_add_length(struct planchet_faults *f, struct planchet_place at, int64_t length)
{
    add(f, at, FAULT_LENGTH, length);
}

void planchet_faults_reply(struct planchet_faults *f, struct reply *reply)
{
    reply_status(reply, 422);
    reply_add_borrowed(reply, STR("{\"detail\":["));
    reply_add_buf(reply, &f->entries);
    reply_add_borrowed(reply, STR("]}"));
}
