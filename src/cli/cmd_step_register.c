/* cmd_step_register.c: `penstock step register`: manifests, and steps in Python. */
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "cli/answer_member.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/python_program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TARGETS_MAX = 1000 };
static const size_t file_max_bytes = 16 << 20;

static const struct option register_options[] = {
    {.name = "python",
     .value = "PROGRAM",
     .help = "the Python that imports the steps (default: the active virtual environment's, else "
             "the one beside penstock, else python3)"},
    {.name = "json", .help = "print JSON, a line for each step"},
    {0},
};
static const struct option *const register_tables[] = {register_options, client_options, NULL};

/* Steps in Python say themselves what they are. */
static bool is_python(const char *target)
{
    struct stat st;
    const char *dot = strrchr(target, '.');
    bool is_file = stat(target, &st) == 0 && S_ISREG(st.st_mode);
    return (dot && strcmp(dot, ".py") == 0) || (!is_file && strchr(target, ':'));
}

/* The server as Python is told it. ERR_INVALID. */
static bool register_server(const struct options *options, char **out, struct err *err)
{
    const char *state = options_text(options, "state");
    const char *server = options_has(options, "state") ? NULL : options_text(options, "server");
    if (options_has(options, "server") && options_has(options, "state"))
        return err_set(err, ERR_INVALID, "--server and --state name two servers; give one");
    OWNED_MEM char *folder = server ? NULL : realpath(state ? state : STATE_DIR_DEFAULT, NULL);
    if (!server && !folder)
        return err_set(err, ERR_NOT_FOUND, "no server runs on %s",
                       state ? state : STATE_DIR_DEFAULT);
    *out = server ? xstrdup(server) : xasprintf("unix://%s/penstock.sock", folder);
    return true;
}

/* This process becomes the Python that reads the steps and registers them. The key goes by the
 * environment: arguments are seen by everybody. */
static bool register_python(const struct options *options, struct err *err)
{
    const char *variable = getenv("PENSTOCK_PYTHON"), *key = options_text(options, "key");
    const char *ca = options_text(options, "ca"), *asked = options_text(options, "python");
    if (!asked && variable && *variable)
        asked = variable;
    OWNED_MEM char *server = NULL;
    OWNED_MEM char *python = python_find(asked, err);
    if (!python || !register_server(options, &server, err))
        return false;
    OWNED_MEM char *path = python_path();
    if ((path && setenv("PYTHONPATH", path, 1) != 0) ||
        (key && setenv("PENSTOCK_KEY", key, 1) != 0))
        return err_errno(err, errno, "the environment");
    size_t targets = options_argument_count(options), count = 6;
    OWNED_MEM const char **argv = xcalloc(targets + 16, sizeof *argv);
    const char *const first[] = {python, "-m", "penstock.steps", "register", "--server", server};
    memcpy(argv, first, sizeof first);
    if (ca) {
        argv[count++] = "--ca";
        argv[count++] = ca;
    }
    if (options_has(options, "json"))
        argv[count++] = "--json";
    argv[count++] = "--";
    for (size_t i = 0; i < targets; i++)
        if (is_python(options_argument(options, i)))
            argv[count++] = options_argument(options, i);
    return spawn_become(argv, err);
}

/* ---- manifests ---- */

struct registering {
    struct client *client;
    const char *path; /* for texts */
    bool json;
};

static bool register_manifest(const struct registering *r, struct str manifest, struct err *err)
{
    OWNED_BUF struct buf answer;
    buf_init(&answer, file_max_bytes);
    if (!client_ask(r->client, "POST", "/v1/steps", manifest, &answer, err))
        return err_add(err, "%s", r->path);
    OWNED_MEM char *name = answer_text(manifest, "function_name");
    OWNED_MEM char *version = answer_text(manifest, "version");
    struct str told = buf_str(&answer);
    if (r->json) {
        printf("%.*s\n", (int)told.len, told.ptr);
        return true;
    }
    fprintf(stderr, "%s:%s %s\n", name, version,
            answer_flag(told, "existing") ? "was registered before" : "is registered");
    printf("%lld\n", (long long)answer_i64(told, "id"));
    return true;
}

/* One manifest, or a list of them. ERR_INVALID when it is neither. */
static bool register_value(const struct registering *r, struct str text, struct err *err)
{
    struct json j;
    struct str raw = {NULL, 0};
    json_open(&j, text);
    if (!json_value(&j, &raw) || !json_end(&j))
        return err_set(err, ERR_INVALID, "%s is no JSON", r->path);
    if (json_type_of(raw) == JSON_OBJECT)
        return register_manifest(r, raw, err);
    if (json_type_of(raw) != JSON_ARRAY)
        return err_set(err, ERR_INVALID, "%s: a manifest is an object", r->path);
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &raw))
        if (!register_manifest(r, raw, err))
            return false;
    return true;
}

/* A value for each line. */
static bool register_lines(const struct registering *r, struct str text, struct err *err)
{
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        struct str line = str_trim((struct str){text.ptr, len});
        if (line.len > 0 && !register_value(r, line, err))
            return false;
        len += end != NULL;
        text = (struct str){text.ptr + len, text.len - len};
    }
    return true;
}

static bool is_one_value(struct str text)
{
    struct json j;
    struct str raw;
    json_open(&j, text);
    return json_value(&j, &raw) && json_end(&j);
}

/* One manifest, a list of them, or one in each line. */
static bool register_file(struct registering *r, const char *path, struct err *err)
{
    OWNED_BUF struct buf text;
    buf_init(&text, file_max_bytes);
    r->path = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    if (!file_read_all(r->path, file_max_bytes, &text, err))
        return false;
    struct str all = str_trim(buf_str(&text));
    if (all.len == 0)
        return err_set(err, ERR_INVALID, "%s has no manifest", r->path);
    return is_one_value(all) ? register_value(r, all, err) : register_lines(r, all, err);
}

static bool register_run(const struct options *options, struct err *err)
{
    OWNED(client) struct client *client = NULL;
    struct registering r = {.json = options_has(options, "json")};
    bool has_python = false;
    for (size_t i = 0; i < options_argument_count(options); i++) {
        const char *target = options_argument(options, i);
        if (is_python(target)) {
            has_python = true;
            continue;
        }
        if (!client && !client_open(options, &client, err))
            return false;
        r.client = client;
        if (!register_file(&r, target, err))
            return false;
    }
    fflush(stdout);
    return !has_python || register_python(options, err);
}

const struct command cmd_step_register = {
    .name = "step register",
    .arguments = "TARGET...",
    .least = 1,
    .most = TARGETS_MAX,
    .summary = "Register processing steps; prints their ids",
    .text =
        "TARGET is a file of manifests, JSON: one, a list, or one in each line (- is standard\n"
        "input); or steps in Python, as for \"penstock worker\": steps.py, module:step, module:*.\n"
        "Manifests go first. What comes before one that is refused stays registered. Workers\n"
        "register their steps by themselves; this is for those that do not, and for before they\n"
        "run.\n",
    .options = register_tables,
    .examples = "penstock step register clean.json fit.json\n"
                "penstock step register steps.py plots:* --server http://host:5005 --key @key\n",
    .run = register_run,
};
