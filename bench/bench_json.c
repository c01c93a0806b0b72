/* bench_json.c: how fast records are validated and sliced, beside simdjson's DOM parser.
 *
 * The two take turns on the same bytes, and each is told by its best round, so that what else the
 * machine does hurts neither. Every record differs from the others in its numbers and words, so
 * that the branch predictor cannot learn them by heart. The limit is one pass of memchr. */
#include "base/json.h"
#include "base/rng.h"

#include "bench_report.h"
#include "simdjson_shim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORD_COUNT 20000
#define RECORD_BYTES 247
#define ROUNDS 60 /* of some 2 ms each */

struct texts {
    struct buf buf;
    struct str text[RECORD_COUNT];
};

static const char *const latin[] = {"water ", "turbine ", "of ", "a ", "reservoir, ", "gate "};
static const char *const cyrillic[] = {"вода ", "турбина ", "и ", "в ", "затвор, ", "поток "};

/* One record of RECORD_BYTES: its text is as long as the rest leaves room for. */
static void add_record(struct buf *out, int64_t id, const char *const words[6], struct rng *rng)
{
    static const char *const tags[] = {"a", "blue", "new"};
    size_t start = out->len;
    buf_add_format(out, "{\"id\": %lld, \"name\": \"", (long long)id + 1);
    for (uint64_t i = 0; i <= rng_below(rng, 2); i++)
        buf_add_text(out, words[rng_below(rng, 6)]);
    buf_add_format(out, "\", \"n\": %.2f, \"tags\": [\"%s\", \"%s\"], \"ok\": %s, \"text\": \"",
                   (double)rng_below(rng, 100000) / 100, tags[rng_below(rng, 3)],
                   tags[rng_below(rng, 3)], rng_below(rng, 2) ? "true" : "false");
    while (out->len - start < RECORD_BYTES - 20)
        buf_add_text(out, words[rng_below(rng, 6)]);
    while (out->len - start < RECORD_BYTES - 2)
        buf_add_char(out, '.');
    buf_add_text(out, "\"}");
    assert(out->len - start == RECORD_BYTES);
}

/* To be released with buf_release. `padding` readable bytes stand behind the last. */
static void texts_make(struct texts *t, const char *const words[6])
{
    struct rng rng;
    rng_init(&rng, 1);
    buf_init(&t->buf, BUF_NO_CAP);
    for (int64_t i = 0; i < RECORD_COUNT; i++) {
        add_record(&t->buf, 100000 + i * 37, words, &rng);
        buf_add_char(&t->buf, '\n');
    }
    size_t padding = simdjson_shim_padding();
    if (!buf_reserve(&t->buf, padding))
        abort();
    memset(t->buf.data + t->buf.len, ' ', padding);
    for (size_t i = 0; i < RECORD_COUNT; i++)
        t->text[i] = (struct str){t->buf.data + i * (RECORD_BYTES + 1), RECORD_BYTES};
}

static bool ours(struct str text)
{
    return json_check(text, NULL, NULL);
}

static bool simdjson(struct str text)
{
    return simdjson_shim_check(text.ptr, text.len);
}

static bool one_pass(struct str text)
{
    return !memchr(text.ptr, '\n', text.len);
}

static double round_s(const struct texts *t, bool (*check)(struct str))
{
    double begin_s = bench_now_s();
    for (size_t i = 0; i < RECORD_COUNT; i++)
        if (!check(t->text[i])) {
            fprintf(stderr, "bench_json: record %zu was refused\n", i);
            exit(1);
        }
    return bench_now_s() - begin_s;
}

/* Slices a batch as a receive does: [[id, record], ...]. */
static double slice_round_s(struct str batch)
{
    double begin_s = bench_now_s();
    struct json j;
    struct str raw;
    size_t count = 0;
    int64_t id;
    json_open(&j, batch);
    bool ok = json_enter(&j, '[');
    while (ok && json_item(&j)) {
        ok = json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw) &&
             json_i64(raw, 0, INT64_MAX, &id) && json_item(&j) && json_value(&j, &raw) &&
             !json_item(&j);
        count++;
    }
    if (!json_end(&j) || count != RECORD_COUNT) {
        fprintf(stderr, "bench_json: the batch was refused\n");
        exit(1);
    }
    return bench_now_s() - begin_s;
}

static double best(double a, double b)
{
    return a < b ? a : b;
}

static void report(const char *what, double ours_s, double goal, double peer_s, double limit_s)
{
    char name[64];
    snprintf(name, sizeof name, "%s.records", what);
    struct bench_result result = {name,
                                  "records/s",
                                  RECORD_COUNT / ours_s,
                                  goal,
                                  peer_s > 0 ? RECORD_COUNT / peer_s : 0,
                                  RECORD_COUNT / limit_s,
                                  peer_s > 0 ? "simdjson DOM" : NULL,
                                  "memchr"};
    bench_report(&result);
    double giga = RECORD_BYTES / 1e9;
    snprintf(name, sizeof name, "%s.bytes", what);
    result.unit = "GB/s";
    result.value *= giga;
    result.goal *= giga;
    result.peer *= giga;
    result.limit *= giga;
    bench_report(&result);
}

static void compare(const char *what, const char *const words[6], double goal)
{
    static struct texts t;
    texts_make(&t, words);
    double ours_s = 1e9, peer_s = 1e9, limit_s = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        ours_s = best(ours_s, round_s(&t, ours));
        peer_s = best(peer_s, round_s(&t, simdjson));
        limit_s = best(limit_s, round_s(&t, one_pass));
    }
    report(what, ours_s, goal, peer_s, limit_s);
    buf_release(&t.buf);
}

static void slice(void)
{
    struct rng rng;
    OWNED_BUF struct buf batch;
    rng_init(&rng, 2);
    buf_init(&batch, BUF_NO_CAP);
    for (int64_t i = 0; i < RECORD_COUNT; i++) {
        buf_add_text(&batch, i ? ", [" : "[[");
        buf_add_i64(&batch, i);
        buf_add_text(&batch, ", ");
        add_record(&batch, 100000 + i * 37, latin, &rng);
        buf_add_char(&batch, ']');
    }
    buf_add_char(&batch, ']');
    double ours_s = 1e9, limit_s = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        ours_s = best(ours_s, slice_round_s(buf_str(&batch)));
        double begin_s = bench_now_s();
        if (!one_pass(buf_str(&batch)))
            abort();
        limit_s = best(limit_s, bench_now_s() - begin_s);
    }
    report("json.slice", ours_s, 0, 0, limit_s);
}

int main(void)
{
    compare("json.check", latin, 1.5e9 / RECORD_BYTES);
    compare("json.check_cyrillic", cyrillic, 0.6e9 / RECORD_BYTES);
    slice();
    return 0;
}
