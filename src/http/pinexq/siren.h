/* siren.h: writes Siren documents (application/vnd.siren+json).
 *
 * Clients refuse a whole document for one wrong member, so none can be written: the order is kept
 * here (class, rel, properties, then embedded entities, actions, links), what is not begun is left
 * out, an action without parameters has no fields, all addresses are absolute.
 *
 *     siren_begin(&s, &buf, root);
 *     siren_entity(&s, "Job", NULL);
 *     siren_text(&s, "Name", "a");            properties, while no other part has begun
 *     siren_entity(&s, "InputDataSlot", "InputDataSlot");      embedded ones
 *     ...
 *     siren_end(&s);
 *     siren_act(&s, &start_action, &href);    then actions
 *     siren_link(&s, "self", &href);          then links
 *     siren_end(&s);
 *
 * To write a part that stands before one that was begun is our mistake: an assertion. When memory
 * is out buf->full is set. */
#ifndef PENSTOCK_HTTP_PINEXQ_SIREN_H
#define PENSTOCK_HTTP_PINEXQ_SIREN_H

#include "base/json.h"
#include "core/step_tag.h"
#include "http/pinexq/pinexq_url.h"

#define SIREN_MEDIA_TYPE "application/vnd.siren+json"
enum { SIREN_DEPTH_MAX = 6 };

enum siren_part { SIREN_PROPERTIES, SIREN_ENTITIES, SIREN_ACTIONS, SIREN_LINKS };

struct siren {
    struct json_out out;
    struct str root; /* of all addresses; borrowed */
    enum siren_part parts[SIREN_DEPTH_MAX];
    int depth;
};

/* What is offered. Static tables. */
struct siren_action {
    const char *name;
    const char *method;     /* "POST", "DELETE" */
    const char *parameters; /* name of the type of its parameters; NULL: it takes none */
    const char *value;      /* their present values, JSON; NULL: not told */
    bool uploads;           /* a form with a file, and with `parameters` as another part */
    bool destroys;          /* it cannot be undone */
};

void siren_begin(struct siren *s, struct buf *buf, struct str root);
/* An entity, embedded when another is open: then `rel` says how it belongs to that, else NULL. */
void siren_entity(struct siren *s, const char *class, const char *rel);
/* Ends the entity that was begun last. */
void siren_end(struct siren *s);

/* Properties. Texts of NULL and times (wall clock, microseconds) of 0 are null. */
void siren_text(struct siren *s, const char *name, const char *value);
void siren_number(struct siren *s, const char *name, int64_t value);
void siren_flag(struct siren *s, const char *name, bool value);
void siren_time(struct siren *s, const char *name, int64_t at_us);
void siren_texts(struct siren *s, const char *name, const struct step_tags *texts);
/* "Tags", and "TagDetails". */
void siren_tags(struct siren *s, const struct step_tags *tags);
/* A property of any form: the caller writes its value, one, to the writer that it gets. */
struct json_out *siren_property(struct siren *s, const char *name);

void siren_act(struct siren *s, const struct siren_action *action, const struct pinexq_href *href);
void siren_link(struct siren *s, const char *rel, const struct pinexq_href *href);
/* The same with the media type of what is there; NULL: not told. */
void siren_link_typed(struct siren *s, const char *rel, const char *type,
                      const struct pinexq_href *href);

#endif
