/* line_lengths.c: a program in C for `penstock run --exec`: for each record, how long it is.
 *
 *     cc -O2 -o line_lengths line_lengths.c
 *     penstock run --exec ./line_lengths --input in.jsonl --output out.jsonl
 *
 * One line in, one line out, in the same order; that is all there is to it. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t length; (length = getline(&line, &room, stdin)) > 0;) {
        if (length > 100000)
            puts("{\"penstock\":{\"fail\":\"too long to be true\",\"final\":true}}");
        else
            printf("{\"bytes\":%zd}\n", length - 1);
        /* Who answers at once can be given the next record at once, and stopped at any time. */
        fflush(stdout);
    }
    free(line);
    return 0;
}
