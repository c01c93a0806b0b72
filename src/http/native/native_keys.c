/* native_keys.c: API keys (native.h). A key's secret is in the answer to its making and nowhere
 * else: not stored, not logged. */
#include "base/rng.h"
#include "core/api_key.h"
#include "http/native/native.h"
#include "http/native/native_body.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* A key's scopes as a list: they are stored as words with blanks between. */
static void write_scopes(struct json_out *o, const char *scopes)
{
    json_out_open(o, '[');
    for (const char *at = scopes; *at;) {
        size_t len = strcspn(at, " ");
        if (len > 0)
            json_out_str(o, (struct str){at, len});
        at += len + (at[len] == ' ');
    }
    json_out_close(o, ']');
}

static void write_key(struct json_out *o, const struct key_view *key, const char *secret)
{
    json_out_open(o, '{');
    json_out_name(o, "name");
    json_out_text(o, key->name);
    json_out_name(o, "owner");
    json_out_text(o, key->owner && *key->owner ? key->owner : NULL);
    json_out_name(o, "scopes");
    write_scopes(o, key->scopes);
    json_out_name(o, "created_at");
    native_time_write(o, key->created_at_us);
    json_out_name(o, "revoked_at");
    native_time_write(o, key->revoked_at_us);
    if (secret) {
        json_out_name(o, "secret");
        json_out_text(o, secret);
    }
    json_out_close(o, '}');
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "keys");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op->keys.count; i++)
        write_key(&o, &op->keys.keys[i], NULL);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_keys_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    struct op *op = request_op(req, OP_KEYS);
    request_right(req, SCOPE_ADMIN, NULL, &op->right);
    op->keys.verb = KEYS_LIST;
    return request_call(req, finish_listed);
}

/* ---- create ---- */

/* A list of scope words into words with blanks between, in the table's order. */
static bool read_scopes(struct str raw, char out[API_KEY_SCOPES_SIZE], struct err *err)
{
    bool wanted[API_KEY_SCOPE_COUNT] = {false}, known = json_type_of(raw) == JSON_ARRAY;
    struct json j;
    struct str item;
    json_open(&j, raw);
    if (known && json_enter(&j, '['))
        while (known && json_item(&j) && json_value(&j, &item)) {
            OWNED_MEM char *word = json_take_text(item);
            known = word && api_key_scope_mark(str_of(word), wanted);
        }
    api_key_scopes_write(wanted, out);
    if (!known || !*out)
        return err_set(err, ERR_INVALID,
                       "scopes: expected a list of \"read\", \"work\" and \"admin\"");
    return true;
}

/* The key that was made, found in the list by its hash. */
static const struct key_view *made_key(const struct op *op)
{
    for (size_t i = 0; i < op->keys.count; i++)
        if (memcmp(op->keys.keys[i].hash, op->keys.hash, sizeof op->keys.hash) == 0)
            return &op->keys.keys[i];
    return NULL;
}

/* The secret stands behind the name in one piece of the request's memory: see native_keys_create.
 */
static bool finish_created(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    const struct key_view *key = made_key(op);
    if (!key)
        return err_set(err, ERR_INTERNAL, "the new key is not in the list");
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    write_key(&o, key, op->keys.name + strlen(op->keys.name) + 1);
    char place[sizeof "/v1/keys/" + API_KEY_NAME_MAX];
    snprintf(place, sizeof place, "/v1/keys/%s", key->name);
    reply_status(reply, 201);
    reply_header(reply, "Location", place);
    reply_header(reply, "Cache-Control", "no-store");
    return native_reply_end(reply, &b, err);
}

bool native_keys_create(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *name = NULL, *owner = NULL, scopes[API_KEY_SCOPES_SIZE];
    struct str raw_scopes = {NULL, 0};
    const struct member members[] = {
        {.name = "name", .type = MEMBER_TEXT, .required = true, .out = &name},
        {.name = "owner", .type = MEMBER_TEXT, .out = &owner},
        {.name = "scopes", .type = MEMBER_RAW, .required = true, .out = &raw_scopes},
    };
    if (!native_body_read(req, members, sizeof members / sizeof *members, err) ||
        !api_key_name_check("name", name, err) ||
        (owner && !api_key_name_check("owner", owner, err)) ||
        !read_scopes(raw_scopes, scopes, err))
        return false;
    size_t name_size = strlen(name) + 1;
    char *kept = request_alloc(req, name_size + API_KEY_SECRET_SIZE),
         *kept_scopes = request_strdup(req, str_of(scopes));
    if (!kept || !kept_scopes)
        return err_set(err, ERR_BUSY, "memory is out");
    memcpy(kept, name, name_size);
    char *secret = kept + name_size;
    uint8_t random[API_KEY_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    api_key_secret(random, secret);
    sodium_memzero(random, sizeof random);

    struct op *op = request_op(req, OP_KEYS);
    request_right(req, SCOPE_ADMIN, NULL, &op->right);
    op->keys.verb = KEYS_CREATE;
    op->keys.name = kept;
    op->keys.scopes = kept_scopes;
    op->keys.owner = owner;
    request_token_hash(req, str_of(secret), op->keys.hash);
    return request_call(req, finish_created);
}

/* ---- revoke ---- */

static bool finish_revoked(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_key_revoke(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    char *name = request_strdup(req, request_path_param(req, "name"));
    if (!name)
        return err_set(err, ERR_BUSY, "memory is out");
    struct op *op = request_op(req, OP_KEYS);
    request_right(req, SCOPE_ADMIN, NULL, &op->right);
    op->keys.verb = KEYS_REVOKE;
    op->keys.name = name;
    return request_call(req, finish_revoked);
}
