/* native_pages.c: the OpenAPI document and the page that shows it (native.h). */
#include "http/native/native_pages.h"
#include "http/native/native.h"

/* Everything comes from this server, nothing stands inline, nobody frames it. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static bool answer(struct reply *reply, const char *type, const struct page_file *file)
{
    reply_content_type(reply, type);
    /* A new version of the program comes with new pages. */
    reply_header(reply, "Cache-Control", "no-cache");
    reply_add_borrowed(reply, (struct str){file->bytes, file->len});
    return true;
}

static bool answer_page(struct reply *reply, const struct page_file *file)
{
    reply_header(reply, "Content-Security-Policy", PAGE_POLICY);
    reply_header(reply, "Referrer-Policy", "no-referrer");
    return answer(reply, "text/html; charset=utf-8", file);
}

bool native_openapi(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return answer(reply, "application/json; charset=utf-8", &page_openapi_json);
}

bool native_docs(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return answer_page(reply, &page_docs_html);
}

bool native_docs_style(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return answer(reply, "text/css; charset=utf-8", &page_docs_css);
}

bool native_docs_script(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return answer(reply, "text/javascript; charset=utf-8", &page_docs_js);
}

bool native_docs_redirect(struct request *req, struct reply *reply, struct err *err)
{
    (void)req, (void)err;
    return answer_page(reply, &page_oauth2_redirect_html);
}
