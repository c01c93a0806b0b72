/* top_screen.h: what a person sees of a sample: text, and a terminal that is drawn again and again.
 * Threads: the main one. */
#ifndef PENSTOCK_CLI_TOP_SCREEN_H
#define PENSTOCK_CLI_TOP_SCREEN_H

#include "cli/top_sample.h"

#include <stdio.h>

/* Prints the sample, each list with up to `most` lines (0: all). `before`: for the rates. */
void top_print(const struct top_sample *now, const struct top_sample *before, int most, FILE *out);

struct top_screen;
/* Takes the terminal over: other page, no cursor, keys come as they are pressed; signals that end a
 * program or tell of a new size come by top_screen_wait. ERR_IO. */
MUST_CHECK bool top_screen_open(struct top_screen **out, struct err *err);
/* Gives it back as it was. */
void top_screen_free(struct top_screen *s);
DEFINE_OWNED(top_screen)
/* Draws the sample as far as there is room; `note` (NULL: none) stands in the first line. */
void top_screen_draw(struct top_screen *s, const struct top_sample *now,
                     const struct top_sample *before, const char *note);
/* Sleeps until `until_us` (monotonic) or something happens. */
enum top_event { TOP_TIME, TOP_QUIT, TOP_RESIZED };
enum top_event top_screen_wait(struct top_screen *s, int64_t until_us);

#endif
