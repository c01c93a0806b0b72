/* flow_draw.h: a flow as a picture in text. Pure. */
#ifndef PENSTOCK_CORE_FLOW_DRAW_H
#define PENSTOCK_CORE_FLOW_DRAW_H

#include "core/flow.h"

enum flow_picture {
    FLOW_TEXT,   /* a line a node, in layers, for a terminal */
    FLOW_DOT,    /* for Graphviz */
    FLOW_MERMAID /* for pages that draw it */
};

/* Names in it are escaped as the picture's language asks; line breaks there are none. */
/* `marks`: letters as of flow_marks.h, by place; ' ' or NULL: not known. */
void flow_draw(const struct flow *f, enum flow_picture picture, const char *marks, struct buf *out);

#endif
