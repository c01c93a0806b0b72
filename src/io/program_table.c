/* program_table.c: the operator's programs by name. See program.h. */
#include "io/program.h"

#include "base/buf.h"

#include <stdlib.h>

struct programs {
    struct rule {
        char *name, *command;
    } * rules;
    size_t count;
};

struct programs *programs_new(void)
{
    return xcalloc(1, sizeof(struct programs));
}

void programs_free(struct programs *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++) {
        free(p->rules[i].name);
        free(p->rules[i].command);
    }
    free(p->rules);
    free(p);
}

static bool is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    return *name && name[strspn(name, allowed)] == '\0';
}

bool programs_add(struct programs *p, const char *rule, struct err *err)
{
    const char *equals = strchr(rule, '=');
    if (!equals || !equals[1])
        return err_set(err, ERR_INVALID, "\"%s\" is not of the form NAME=COMMAND", rule);
    OWNED_MEM char *name = xstrndup(rule, (size_t)(equals - rule));
    if (!is_name(name))
        return err_set(err, ERR_INVALID,
                       "\"%s\" is no name for a program: letters, digits, '_', '.' and '-' only",
                       name);
    if (programs_find(p, name))
        return err_set(err, ERR_INVALID, "a program %s is named already", name);
    p->rules = xrealloc(p->rules, (p->count + 1) * sizeof *p->rules);
    p->rules[p->count++] = (struct rule){TAKE(name), xstrdup(equals + 1)};
    return true;
}

const char *programs_find(const struct programs *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->rules[i].name, name) == 0)
            return p->rules[i].command;
    return NULL;
}
