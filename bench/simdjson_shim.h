/* simdjson_shim.h: the peer of bench_json, behind a C face. */
#ifndef PENSTOCK_BENCH_SIMDJSON_SHIM_H
#define PENSTOCK_BENCH_SIMDJSON_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that must be readable behind a text. */
size_t simdjson_shim_padding(void);
/* Whether simdjson's DOM parser takes the text. One parser for all calls; not for threads. */
bool simdjson_shim_check(const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
