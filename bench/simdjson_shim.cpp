// simdjson_shim.cpp: see simdjson_shim.h.
#include "simdjson_shim.h"

#include <simdjson.h>

size_t simdjson_shim_padding(void)
{
    return simdjson::SIMDJSON_PADDING;
}

bool simdjson_shim_check(const char *text, size_t len)
{
    static simdjson::dom::parser parser;
    return parser.parse(text, len, false).error() == simdjson::SUCCESS;
}
