/* answer_list.c: see answer_list.h. */
#include "cli/answer_list.h"

#include "base/json.h"

#include <stdio.h>

bool answer_list_each(struct str answer, const char *name, answer_taker *take, void *context,
                      struct err *err)
{
    struct str list, entry;
    struct json j;
    if (!json_check(answer, NULL, NULL) || !json_find(answer, name, &list) ||
        json_type_of(list) != JSON_ARRAY)
        return err_set(err, ERR_INTERNAL, "the server's answer is no list of %s", name);
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &entry))
            if (!take(context, entry, err))
                return false;
    return true;
}

bool answer_list_print(void *unused, struct str entry, struct err *err)
{
    (void)unused, (void)err;
    printf("%.*s\n", (int)entry.len, entry.ptr);
    return true;
}
