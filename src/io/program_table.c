/* program_table.c: the operator's programs by name. See program.h. */
#include "io/program.h"

#include "base/buf.h"

#include <stdlib.h>

struct programs {
    struct rule {
        char *name, *command; /* NULL: a descriptor */
        int fd;
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

/* Takes `command` over. */
static bool add_rule(struct programs *p, const char *name, char *command, int fd, struct err *err)
{
    OWNED_MEM char *taken = command;
    struct program_end other;
    if (!is_name(name))
        return err_set(err, ERR_INVALID,
                       "\"%s\" is no name for a program: letters, digits, '_', '.' and '-' only",
                       name);
    if (programs_find(p, name, &other))
        return err_set(err, ERR_INVALID, "a program %s is named already", name);
    p->rules = xrealloc(p->rules, (p->count + 1) * sizeof *p->rules);
    p->rules[p->count++] = (struct rule){xstrdup(name), TAKE(taken), fd};
    return true;
}

bool programs_add(struct programs *p, const char *rule, struct err *err)
{
    const char *equals = strchr(rule, '=');
    if (!equals || !equals[1])
        return err_set(err, ERR_INVALID, "\"%s\" is not of the form NAME=COMMAND", rule);
    OWNED_MEM char *name = xstrndup(rule, (size_t)(equals - rule));
    return add_rule(p, name, xstrdup(equals + 1), -1, err);
}

bool programs_add_fd(struct programs *p, const char *name, int fd, struct err *err)
{
    return add_rule(p, name, NULL, fd, err);
}

bool programs_find(const struct programs *p, const char *name, struct program_end *out)
{
    for (size_t i = 0; p && i < p->count; i++)
        if (strcmp(p->rules[i].name, name) == 0) {
            *out = (struct program_end){p->rules[i].command, p->rules[i].fd};
            return true;
        }
    return false;
}
