/* task_worker.c: a worker for the queue in C: it claims tasks of the function "word_count", counts
 * the words of their argument `text`, and settles them. Everything it says is in docs/queue.md.
 *
 *     cc task_worker.c -o task_worker -lcurl -ljansson
 *     ./task_worker http://127.0.0.1:5005            until it is stopped
 *     ./task_worker http://127.0.0.1:5005 --one-shot until nothing is left
 *
 * A function that takes longer than the lease (10 s) would call /v1/work/extend meanwhile; this one
 * settles at once. A key, where the server wants one, is read from PENSTOCK_KEY. */
#include <ctype.h>
#include <curl/curl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct text {
    char *bytes;
    size_t len;
};

struct server {
    CURL *curl;
    struct curl_slist *headers;
    const char *url;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static size_t take(char *part, size_t size, size_t count, void *context)
{
    struct text *answer = context;
    char *grown = realloc(answer->bytes, answer->len + size * count + 1);
    if (!grown)
        return 0;
    answer->bytes = grown;
    memcpy(grown + answer->len, part, size * count);
    answer->len += size * count;
    return size * count;
}

/* So that a signal ends a claim that waits. */
static int go_on(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)context, (void)a, (void)b, (void)c, (void)d;
    return stopped ? 1 : 0;
}

/* Posts `body`, which it releases. NULL when there was no answer (*status is 0 then) or no JSON in
 * it. */
static json_t *post(const struct server *server, const char *path, json_t *body, long *status)
{
    char url[1024];
    struct text answer = {0};
    char *sent = json_dumps(body, JSON_COMPACT);
    json_t *got = NULL;
    json_decref(body);
    *status = 0;
    snprintf(url, sizeof url, "%s%s", server->url, path);
    curl_easy_setopt(server->curl, CURLOPT_URL, url);
    curl_easy_setopt(server->curl, CURLOPT_POSTFIELDS, sent);
    curl_easy_setopt(server->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(server->curl, CURLOPT_WRITEDATA, &answer);
    if (curl_easy_perform(server->curl) == CURLE_OK) {
        curl_easy_getinfo(server->curl, CURLINFO_RESPONSE_CODE, status);
        got = json_loadb(answer.bytes ? answer.bytes : "", answer.len, 0, NULL);
    }
    free(answer.bytes);
    free(sent);
    return got;
}

static json_int_t count_words(const char *text)
{
    json_int_t words = 0;
    for (bool inside = false; *text; text++) {
        bool letter = !isspace((unsigned char)*text);
        words += letter && !inside;
        inside = letter;
    }
    return words;
}

/* Runs one task: its outcome goes into one of the lists. */
static void run(json_t *task, json_t *completed, json_t *failures)
{
    json_t *id = json_object_get(task, "id");
    const char *text =
        json_string_value(json_object_get(json_object_get(task, "arguments"), "text"));
    if (text)
        json_array_append_new(completed, json_pack("[O, {s:I}]", id, "words", count_words(text)));
    else /* it will have no text the next time either */
        json_array_append_new(failures, json_pack("[O, {s:s, s:s, s:b}]", id, "message",
                                                  "text: expected a text", "type", "ArgumentError",
                                                  "final", 1));
}

/* Claims, runs, settles. Returns how many tasks there were, -1 when the server did not answer as it
 * should. */
static int work_once(const struct server *server, char lease[64], double wait_s)
{
    long status = 0;
    json_t *claim = json_pack("{s:[s], s:i, s:f, s:s}", "functions", "word_count", "max", 100,
                              "wait_s", wait_s, "worker", "task_worker.c");
    if (lease[0]) {
        json_object_set_new(claim, "lease", json_string(lease));
        /* We hold nothing: what an answer brought that was lost on its way comes again. */
        json_object_set_new(claim, "holds", json_array());
    }
    json_t *answer = post(server, "/v1/work/claim", claim, &status);
    if (status ==
        409) /* the session has ended, perhaps because we were stopped for long: begin again */
        lease[0] = '\0';
    if (status != 200) {
        json_decref(answer);
        return status == 409 ? 0 : -1;
    }
    const char *token =
        json_string_value(json_object_get(json_object_get(answer, "lease"), "token"));
    snprintf(lease, 64, "%s", token ? token : "");
    json_t *tasks = json_object_get(answer, "tasks"), *completed = json_array(),
           *failures = json_array();
    int count = (int)json_array_size(tasks);
    for (int i = 0; i < count; i++)
        run(json_array_get(tasks, (size_t)i), completed, failures);
    json_decref(answer);
    /* Sent again until the server has it: an outcome that it has already is told as stale, and does
     * no harm. */
    json_t *outcomes =
        json_pack("{s:s, s:o, s:o}", "lease", lease, "completed", completed, "failures", failures);
    for (status = 0; count > 0 && status == 0;) {
        json_decref(post(server, "/v1/work/settle", json_incref(outcomes), &status));
        if (status == 0 && !stopped)
            sleep(1);
        else if (status == 0)
            break;
    }
    json_decref(outcomes);
    return status == 0 && count > 0 ? -1 : count;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "--one-shot") != 0)) {
        fprintf(stderr, "usage: %s URL [--one-shot]\n", argv[0]);
        return 2;
    }
    bool one_shot = argc == 3;
    char lease[64] = "", key[512];
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct server server = {.curl = curl_easy_init(), .url = argv[1]};
    server.headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (getenv("PENSTOCK_KEY")) {
        snprintf(key, sizeof key, "Authorization: Bearer %s", getenv("PENSTOCK_KEY"));
        server.headers = curl_slist_append(server.headers, key);
    }
    curl_easy_setopt(server.curl, CURLOPT_HTTPHEADER, server.headers);
    curl_easy_setopt(server.curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(server.curl, CURLOPT_XFERINFOFUNCTION, go_on);
    int done = 0, failed = 0;
    while (!stopped) {
        int count = work_once(&server, lease, one_shot ? 0 : 30);
        done += count > 0 ? count : 0;
        if (count == 0 && one_shot && lease[0])
            break;
        if (count >= 0) {
            failed = 0;
        } else if (++failed == 30) {
            fprintf(stderr, "task_worker: no answer from %s\n", server.url);
            break;
        } else if (!stopped) {
            sleep(1); /* the server may be starting again */
        }
    }
    if (lease[0]) { /* what we hold, if anything, runs elsewhere at once */
        long status = 0;
        stopped = 0;
        json_decref(post(&server, "/v1/work/release", json_pack("{s:s}", "lease", lease), &status));
    }
    printf("%d tasks\n", done);
    curl_slist_free_all(server.headers);
    curl_easy_cleanup(server.curl);
    curl_global_cleanup();
    return failed == 30;
}
