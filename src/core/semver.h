/* semver.h: versions of functions: their order, and patterns that match them. Pure.
 *
 * A version is up to three numbers of at most eight digits with dots between, and perhaps "-" and a
 * postfix: "1.2.3", "2", "1.0-beta.2". At most 40 characters in all. Numbers that are not there are
 * 0 in comparisons, but "1.0" and "1.0.0" are two versions by their text. */
#ifndef PENSTOCK_CORE_SEMVER_H
#define PENSTOCK_CORE_SEMVER_H

#include "base/buf.h"
#include "base/err.h"

#define SEMVER_MAX_BYTES 40

struct semver {
    uint32_t numbers[3];
    struct str postfix; /* borrowed from the text; empty: a release */
};

/* ERR_INVALID that shows the text. */
MUST_CHECK bool semver_parse(struct str text, struct semver *out, struct err *err);
/* < 0, 0, > 0. Numbers first; a prerelease comes before its release; postfixes by their parts
 * between dots, numbers by value and before words. */
int semver_compare(const struct semver *a, const struct semver *b);
/* The same of two texts; one that is no version comes first. */
int semver_compare_texts(struct str a, struct str b);

/* A pattern: an exact version, `*`, `1.*`, `1.2.*`, or comparisons with a blank between, all of
 * which must hold: `=`, `>`, `>=`, `<`, `<=`, `^` (the same major number, not below), `~` (the same
 * minor number, not below). ERR_INVALID when it is none. */
MUST_CHECK bool semver_pattern_check(struct str pattern, struct err *err);
/* Of a pattern that was checked. An exact one matches by text. */
bool semver_matches(struct str pattern, struct str version);

#endif
