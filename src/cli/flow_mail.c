/* flow_mail.c: the mail at the end of a flow (flow_finish.h), by SMTP on localhost: what happened,
 * with the state file and the logs of failed nodes. */
#include "base/file.h"
#include "cli/flow_body.h"
#include "cli/flow_finish.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAIL_TIMEOUT_S = 30, LOG_MAX_BYTES = 1 << 20, LOGS_MOST = 10 };

struct mail {
    CURL *curl;
    curl_mime *mime;
    struct curl_slist *headers, *to;
    const struct flow_finished *f;
    size_t logs;
};

static void mail_release(struct mail *m)
{
    curl_mime_free(m->mime);
    curl_slist_free_all(m->headers);
    curl_slist_free_all(m->to);
    curl_easy_cleanup(m->curl);
}

static void attach(struct mail *m, const char *path)
{
    OWNED_BUF struct buf text;
    struct err ignored;
    const char *slash = strrchr(path, '/');
    buf_init(&text, LOG_MAX_BYTES);
    /* What is too long for a mail is named in it, and lies where it lies. */
    if (!file_read_all(path, LOG_MAX_BYTES, &text, &ignored) || !text.len)
        return;
    curl_mimepart *part = curl_mime_addpart(m->mime);
    curl_mime_data(part, text.data, text.len);
    curl_mime_filename(part, slash ? slash + 1 : path);
    curl_mime_type(part, "text/plain; charset=utf-8");
    curl_mime_encoder(part, "base64");
}

static void attach_log(void *context, const struct flow_node *node)
{
    struct mail *m = context;
    OWNED_MEM char *here = getcwd(NULL, 0);
    OWNED_MEM char *path = flow_node_log(node, m->f->place, here ? here : "");
    if (m->logs++ < LOGS_MOST)
        attach(m, path);
}

static void name_node(void *context, const struct flow_node *node)
{
    buf_add_format(context, "  %d  %.200s\n", (int)node->id, node->name);
}

static void write_text(const struct flow_finished *f, struct buf *text)
{
    buf_add_format(text, "%s has %s after %.1f s.\n\n", f->name,
                   strcmp(f->state, "aborted") == 0 ? "been aborted" : f->state, f->elapsed_s);
    buf_add_format(text, "completed %zu, failed %zu, defaulted %zu, aborted %zu, norun %zu\n",
                   flow_mirror_count(f->mirror, 'C'), flow_mirror_count(f->mirror, 'F'),
                   flow_mirror_count(f->mirror, 'D'), flow_mirror_count(f->mirror, 'A'),
                   flow_mirror_count(f->mirror, 'N'));
    if (flow_mirror_count(f->mirror, 'F') > 0) {
        buf_add_text(text, "\nfailed:\n");
        flow_mirror_each(f->mirror, 'F', name_node, text);
    }
    buf_add_format(text, "\nlogs: %s\n", flow_place_lookup(f->place, "APP_LOG_DIR"));
}

static void add_header(struct mail *m, const char *name, const char *value)
{
    OWNED_MEM char *line = xasprintf("%s: %s", name, value);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    m->headers = curl_slist_append(m->headers, line);
}

/* Addresses are separated by commas. */
static void add_receivers(struct mail *m, const char *addresses)
{
    for (const char *at = addresses; at;) {
        size_t len = strcspn(at, ",");
        struct str one = str_trim((struct str){at, len});
        OWNED_MEM char *text = xstrndup(one.ptr, one.len);
        if (*text && !strpbrk(text, "<>\r\n"))
            m->to = curl_slist_append(m->to, text);
        at = at[len] ? at + len + 1 : NULL;
    }
}

static void write_headers(struct mail *m, const char *from)
{
    char date[64];
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &parts);
    OWNED_MEM char *subject = xasprintf("%s: %s", m->f->name, m->f->state);
    add_header(m, "Date", date);
    add_header(m, "From", from);
    add_header(m, "To", m->f->settings->email);
    add_header(m, "Subject", subject);
}

static bool send_mail(struct mail *m, struct err *err)
{
    char why[CURL_ERROR_SIZE] = "", host[256] = "";
    OWNED_BUF struct buf text;
    const char *user = getenv("USER"), *server = getenv("PENSTOCK_SMTP");
    buf_init(&text, BUF_NO_CAP);
    if (gethostname(host, sizeof host - 1) != 0)
        memcpy(host, "localhost", sizeof "localhost");
    OWNED_MEM char *from = xasprintf("%s@%s", user && *user ? user : "penstock", host);
    write_headers(m, from);
    add_receivers(m, m->f->settings->email);
    if (!m->to)
        return err_set(err, ERR_INVALID, "\"%.100s\" is no address", m->f->settings->email);
    write_text(m->f, &text);
    curl_mime_data(curl_mime_addpart(m->mime), text.data, text.len);
    if (m->f->ctllog)
        attach(m, m->f->ctllog);
    flow_mirror_each(m->f->mirror, 'F', attach_log, m);
    curl_easy_setopt(m->curl, CURLOPT_URL, server && *server ? server : "smtp://localhost:25");
    curl_easy_setopt(m->curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(m->curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(m->curl, CURLOPT_MAIL_RCPT, m->to);
    curl_easy_setopt(m->curl, CURLOPT_HTTPHEADER, m->headers);
    curl_easy_setopt(m->curl, CURLOPT_MIMEPOST, m->mime);
    curl_easy_setopt(m->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(m->curl, CURLOPT_TIMEOUT, (long)MAIL_TIMEOUT_S);
    curl_easy_setopt(m->curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(m->curl);
    return code == CURLE_OK || err_set(err, ERR_IO, "the mail could not be sent: %s",
                                       *why ? why : curl_easy_strerror(code));
}

bool flow_finish_mail(const struct flow_finished *f, struct err *err)
{
    struct mail m = {.curl = curl_easy_init(), .f = f};
    bool good = m.curl && (m.mime = curl_mime_init(m.curl))
                    ? send_mail(&m, err)
                    : err_set(err, ERR_INTERNAL, "libcurl cannot be used");
    mail_release(&m);
    return good;
}
