/* copy_lines.c: a program for `penstock run --exec` that does nothing, as fast as a plain C program
 * can: it reads lines by stdio and prints them. Nothing is flushed before a
 * buffer is full, as most filters do it. */
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_BYTES = 256 << 10 };

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    static char in[BUFFER_BYTES], out[BUFFER_BYTES];
    setvbuf(stdin, in, _IOFBF, sizeof in); /* without room of ours its size counts for nothing */
    setvbuf(stdout, out, _IOFBF, sizeof out);
    for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;)
        if (fwrite(line, 1, (size_t)len, stdout) != (size_t)len)
            return 1;
    free(line);
    return fflush(stdout) ? 1 : 0;
}
