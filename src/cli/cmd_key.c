/* cmd_key.c: `penstock key create|list|revoke`.
 *
 * They ask the running server. When none runs on the state folder they open it themselves, so that
 * keys can be made before the first start. */
#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/terminal.h"
#include "cli/answer_list.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/local_engine.h"
#include "core/api_key.h"

#include <stdio.h>
#include <string.h>

static const struct option create_options[] = {
    {.name = "scope",
     .value = "SCOPE",
     .help = "what it allows: read, work (claim, settle, and read) or admin (all) (default: work)",
     .many = true},
    {.name = "owner",
     .value = "OWNER",
     .help = "whose step jobs and artifacts it sees and makes (default: the house's)"},
    {.name = "json", .help = "print JSON"},
    {0},
};
static const struct option json_options[] = {
    {.name = "json", .help = "print JSON"},
    {0},
};
static const struct option *const create_tables[] = {create_options, client_options, NULL};
static const struct option *const plain_tables[] = {json_options, client_options, NULL};

static const size_t answer_max_bytes = 16 << 20;

static bool read_scopes(const struct options *options, bool wanted[API_KEY_SCOPE_COUNT],
                        struct err *err)
{
    size_t count = options_count(options, "scope");
    for (size_t i = 0; i < count; i++)
        if (!api_key_scope_mark(str_of(options_at(options, "scope", i)), wanted))
            return err_set(err, ERR_INVALID, "--scope: \"%s\" is none of read, work, admin",
                           options_at(options, "scope", i));
    return count > 0 || api_key_scope_mark(STR("work"), wanted);
}

static void write_key(struct json_out *o, const struct key_view *key)
{
    char at[CLOCK_TEXT_SIZE];
    json_out_open(o, '{');
    json_out_name(o, "name");
    json_out_text(o, key->name);
    json_out_name(o, "owner");
    json_out_text(o, key->owner && *key->owner ? key->owner : NULL);
    json_out_name(o, "scopes");
    json_out_open(o, '[');
    for (const char *word = key->scopes; *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        json_out_str(o, (struct str){word, len});
        word += len;
    }
    json_out_close(o, ']');
    json_out_name(o, "created_at");
    clock_text(key->created_at_us, at);
    json_out_text(o, at);
    json_out_name(o, "revoked_at");
    clock_text(key->revoked_at_us, at);
    json_out_text(o, key->revoked_at_us ? at : NULL);
    json_out_close(o, '}');
}

/* ---- by the engine, when no server runs ---- */

static bool local_ask(struct local_engine *local, struct op *op, struct err *err)
{
    op->right.trusted = true;
    return local_engine_ask(local, op, err);
}

static bool create_here(struct local_engine *local, const char *name, const char *owner,
                        const char *scopes, char secret[API_KEY_SECRET_SIZE], struct err *err)
{
    uint8_t random[API_KEY_RANDOM_BYTES];
    struct op op;
    random_bytes(random, sizeof random);
    api_key_secret(random, secret);
    explicit_bzero(random, sizeof random);
    op_init(&op, OP_KEYS);
    op.keys.verb = KEYS_CREATE;
    op.keys.name = name;
    op.keys.owner = owner;
    op.keys.scopes = scopes;
    local_engine_hash(local, str_of(secret), op.keys.hash);
    bool good = local_ask(local, &op, err);
    op_release(&op);
    return good;
}

/* The list in the shape of the server's answer. */
static bool list_here(struct local_engine *local, struct buf *answer, struct err *err)
{
    struct json_out o;
    struct op op;
    op_init(&op, OP_KEYS);
    op.keys.verb = KEYS_LIST;
    bool good = local_ask(local, &op, err);
    json_out_init(&o, answer);
    json_out_open(&o, '{');
    json_out_name(&o, "keys");
    json_out_open(&o, '[');
    for (size_t i = 0; i < op.keys.count; i++)
        write_key(&o, &op.keys.keys[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    op_release(&op);
    return good;
}

static bool revoke_here(struct local_engine *local, const char *name, struct err *err)
{
    struct op op;
    op_init(&op, OP_KEYS);
    op.keys.verb = KEYS_REVOKE;
    op.keys.name = name;
    bool good = local_ask(local, &op, err);
    op_release(&op);
    return good;
}

/* ---- by the server ---- */

static bool create_there(struct client *client, const char *name, const char *owner,
                         const bool wanted[API_KEY_SCOPE_COUNT], char secret[API_KEY_SECRET_SIZE],
                         struct err *err)
{
    OWNED_BUF struct buf body;
    OWNED_BUF struct buf answer;
    struct json_out o;
    struct str value;
    buf_init(&body, 4096);
    buf_init(&answer, answer_max_bytes);
    json_out_init(&o, &body);
    json_out_open(&o, '{');
    json_out_name(&o, "name");
    json_out_text(&o, name);
    json_out_name(&o, "owner");
    json_out_text(&o, owner);
    json_out_name(&o, "scopes");
    json_out_open(&o, '[');
    for (size_t i = 0; i < API_KEY_SCOPE_COUNT; i++)
        if (wanted[i])
            json_out_text(&o, api_key_scopes[i]);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    if (!client_ask(client, "POST", "/v1/keys", buf_str(&body), &answer, err))
        return false;
    OWNED_MEM char *text =
        json_find(buf_str(&answer), "secret", &value) ? json_take_text(value) : NULL;
    if (!text || strlen(text) >= API_KEY_SECRET_SIZE)
        return err_set(err, ERR_INTERNAL, "the server's answer holds no key");
    snprintf(secret, API_KEY_SECRET_SIZE, "%s", text);
    explicit_bzero(text, strlen(text));
    explicit_bzero(answer.data, answer.len);
    return true;
}

static bool revoke_there(struct client *client, const char *name, struct err *err)
{
    struct buf path;
    buf_init(&path, BUF_NO_CAP);
    buf_add_text(&path, "/v1/keys/");
    client_escape(&path, name);
    OWNED_MEM char *text = buf_take(&path);
    return client_ask(client, "DELETE", text, STR(""), NULL, err);
}

/* ---- the commands ---- */

/* The secret stands alone on standard output, so that $(...) catches it. */
static void print_secret(const char *name, const char *scopes, const char *secret)
{
    fprintf(stderr, "key %s (%s): keep it, it is not shown again\n", name, scopes);
    puts(secret);
}

static void print_secret_json(const char *name, const char *secret)
{
    OWNED_BUF struct buf line;
    struct json_out o;
    buf_init(&line, 4096);
    json_out_init(&o, &line);
    json_out_open(&o, '{');
    json_out_name(&o, "name");
    json_out_text(&o, name);
    json_out_name(&o, "secret");
    json_out_text(&o, secret);
    json_out_close(&o, '}');
    printf("%.*s\n", (int)line.len, line.data);
}

static bool create_run(const struct options *options, struct err *err)
{
    const char *name = options_argument(options, 0), *owner = options_text(options, "owner");
    bool wanted[API_KEY_SCOPE_COUNT] = {false};
    char scopes[API_KEY_SCOPES_SIZE], secret[API_KEY_SECRET_SIZE];
    OWNED(client) struct client *client = NULL;
    OWNED(local_engine) struct local_engine *local = NULL;
    if (!api_key_name_check("name", name, err) ||
        (owner && !api_key_name_check("owner", owner, err)) || !read_scopes(options, wanted, err) ||
        !local_or_client(options, true, &local, &client, err))
        return false;
    api_key_scopes_write(wanted, scopes);
    bool good = local ? create_here(local, name, owner, scopes, secret, err)
                      : create_there(client, name, owner, wanted, secret, err);
    if (good && options_has(options, "json"))
        print_secret_json(name, secret);
    else if (good)
        print_secret(name, scopes, secret);
    explicit_bzero(secret, sizeof secret);
    return good;
}

const struct command cmd_key_create = {
    .name = "key create",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .summary = "Make an API key and print it, this once",
    .text = "Only its hash is stored. When no server runs on the state folder, the key is put\n"
            "there for the next one.\n",
    .options = create_tables,
    .examples = "penstock key create laptop\n"
                "penstock key create dashboard --scope read\n"
                "PENSTOCK_KEY=$(penstock key create ci --scope admin)\n",
    .run = create_run,
};

static char *scopes_of(struct str list)
{
    struct buf words;
    struct json j;
    struct str item;
    buf_init(&words, 256);
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item)) {
            if (words.len > 0)
                buf_add_char(&words, ' ');
            json_text(item, &words);
        }
    return buf_take(&words);
}

static bool add_row(void *context, struct str key, struct err *err)
{
    (void)err;
    struct table *table = context;
    struct str name = {0}, scopes = {0}, created = {0}, revoked = {0};
    json_find(key, "name", &name);
    json_find(key, "scopes", &scopes);
    json_find(key, "created_at", &created);
    json_find(key, "revoked_at", &revoked);
    OWNED_MEM char *name_text = json_take_text(name);
    OWNED_MEM char *created_text = json_take_text(created);
    OWNED_MEM char *revoked_text = json_take_text(revoked);
    OWNED_MEM char *words = scopes_of(scopes);
    table_cell(table, str_of(name_text), COLOUR_NONE);
    table_cell(table, str_of(words), COLOUR_NONE);
    table_cell(table, str_of(created_text), COLOUR_FAINT);
    table_cell(table, str_of(revoked_text ? revoked_text : "-"),
               revoked_text ? COLOUR_WARN : COLOUR_FAINT);
    return true;
}

/* All in one list, as they are few. */
static bool print_keys(struct str answer, struct err *err)
{
    struct str keys;
    if (!json_check(answer, NULL, NULL) || !json_find(answer, "keys", &keys))
        return err_set(err, ERR_INTERNAL, "the server's answer is no list of keys");
    printf("%.*s\n", (int)keys.len, keys.ptr);
    return true;
}

static bool list_run(const struct options *options, struct err *err)
{
    static const char *const titles[] = {"NAME", "SCOPES", "CREATED", "REVOKED", NULL};
    OWNED_BUF struct buf answer;
    OWNED(client) struct client *client = NULL;
    OWNED(local_engine) struct local_engine *local = NULL;
    buf_init(&answer, answer_max_bytes);
    if (!local_or_client(options, false, &local, &client, err))
        return false;
    if (local ? !list_here(local, &answer, err)
              : !client_ask(client, "GET", "/v1/keys", STR(""), &answer, err))
        return false;
    if (options_has(options, "json"))
        return print_keys(buf_str(&answer), err);
    OWNED(table) struct table *table = table_new(titles);
    if (!answer_list_each(buf_str(&answer), "keys", add_row, table, err))
        return false;
    table_print(table, stdout);
    return true;
}

const struct command cmd_key_list = {
    .name = "key list",
    .summary = "List API keys, the revoked ones too",
    .options = plain_tables,
    .examples = "penstock key list\n",
    .run = list_run,
};

static bool revoke_run(const struct options *options, struct err *err)
{
    const char *name = options_argument(options, 0);
    OWNED(client) struct client *client = NULL;
    OWNED(local_engine) struct local_engine *local = NULL;
    if (!local_or_client(options, false, &local, &client, err))
        return false;
    if (local ? !revoke_here(local, name, err) : !revoke_there(client, name, err))
        return false;
    if (!options_has(options, "json"))
        printf("key %s is revoked\n", name);
    return true;
}

const struct command cmd_key_revoke = {
    .name = "key revoke",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .summary = "Revoke an API key: it opens nothing from now on",
    .options = plain_tables,
    .examples = "penstock key revoke laptop\n",
    .run = revoke_run,
};
