/* native_pages.h: files built into the program (tools/embed.py writes them). */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_PAGES_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_PAGES_H

#include <stddef.h>

/* The bytes of a file, not ended by NUL. */
struct page_file {
    const char *bytes;
    size_t len;
};

extern const struct page_file page_openapi_json; /* without blanks between tokens */
extern const struct page_file page_docs_html, page_docs_css, page_docs_js;
extern const struct page_file page_oauth2_redirect_html;

#endif
