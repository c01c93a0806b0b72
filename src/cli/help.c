/* help.c: see help.h. */
#include "cli/help.h"

#include <string.h>

struct entry {
    const char *name, *text;
};

static const char about[] = "Serves the records of files to workers over HTTP and collects their\n"
                            "results: each in the output exactly once, whatever crashes.\n";

static const struct entry exit_statuses[] = {
    {"0", "done"},
    {"1", "failed"},
    {"2", "wrong usage: an option, a command, a value"},
    {"3", "flow run: it could not start, as it runs already"},
    {"70", "flow run: our mistake"},
    {"75", "try again later: no server, server busy, state folder or output in use, disk full"},
    {"130, 143", "ended by SIGINT, SIGTERM"},
};

static const struct entry variables[] = {
    {"PENSTOCK_SERVER", "URL of the server that commands talk to, as --server"},
    {"PENSTOCK_STATE", "state folder, as --state"},
    {"PENSTOCK_KEY", "API key, as --key"},
    {"PENSTOCK_TOKEN", "token of a job, as --token"},
    {"PENSTOCK_MASTER_TOKEN",
     "for serve: the token that opens every job with a token, and guards /purge"},
    {"PENSTOCK_PYTHON", "the Python of run, worker and flow run, as --python"},
    {"PENSTOCK_SMTP", "of flow run --email: where mail goes instead of smtp://localhost:25"},
    {"NO_COLOR", "when set, no colours on a terminal"},
};

static const struct entry files[] = {
    {".penstock/",
     "the default state folder, made by serve: the store and all that is known of jobs"},
    {".penstock/penstock.sock", "socket of the running server, by which local commands reach it"},
    {".penstock/server.json", "process id, URL and data folders of the server"},
    {"OUTPUT.errors.jsonl", "beside an output: records that failed, with the reason"},
    {"temp/NAME.penstock/",
     "of a flow, in its APP_TEMP_DIR: what is known of its nodes; go on with -r"},
    {"OUTPUT.penstock/", "beside the output of a run: what is known of it; go on with the same "
                         "command"},
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))
enum { NAME_WIDTH = 26, LINE_WIDTH = 80 };

/* Prints text with its lines broken at blanks, each line behind `indent` blanks; the cursor stands
 * at column `at`. */
static void wrapped(const char *text, int at, int indent, FILE *out)
{
    for (bool first = true; *text; first = false) {
        int len = (int)strcspn(text, " ");
        if (at + len + 1 > LINE_WIDTH && !first) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
            first = true;
        }
        at += fprintf(out, "%s%.*s", first ? "" : " ", len, text);
        text += len + (text[len] == ' ');
    }
    fputc('\n', out);
}

static void entry(const char *name, const char *text, FILE *out)
{
    int at = fprintf(out, "  %s", name);
    if (at + 2 > NAME_WIDTH) {
        fputc('\n', out);
        at = 0;
    }
    at += fprintf(out, "%*s", NAME_WIDTH - at, "");
    wrapped(text, at, NAME_WIDTH, out);
}

static void entries(const char *title, const struct entry *rows, size_t count, FILE *out)
{
    fprintf(out, "\n%s:\n", title);
    for (size_t i = 0; i < count; i++)
        entry(rows[i].name, rows[i].text, out);
}

static bool in_group(const struct command *command, const char *group)
{
    size_t length = strlen(group);
    return strncmp(command->name, group, length) == 0 &&
           (command->name[length] == ' ' || !command->name[length]);
}

bool help_overview(const char *group, FILE *out)
{
    bool any = false;
    for (size_t i = 0; group && commands[i]; i++)
        any |= in_group(commands[i], group);
    if (group && !any)
        return false;
    fprintf(out, "Usage: penstock %s%sCOMMAND [OPTIONS]\n\n", group ? group : "", group ? " " : "");
    if (!group)
        fprintf(out, "%s\n", about);
    fputs("Commands:\n", out);
    for (size_t i = 0; commands[i]; i++)
        if (!group || in_group(commands[i], group))
            entry(commands[i]->name, commands[i]->summary, out);
    if (!group) {
        entries("Exit status", exit_statuses, COUNT(exit_statuses), out);
        entries("Environment", variables, COUNT(variables), out);
    }
    fputs("\n\"penstock COMMAND --help\" says more, with examples.\n", out);
    return true;
}

static const struct option help_option[] = {
    {.name = "help", .help = "print this and end"},
    {0},
};

static void option_entry(const struct option *o, FILE *out)
{
    char letter[] = {'-', o->letter, ',', ' ', '\0'};
    OWNED_MEM char *name = xasprintf("%s--%s%s%s", o->letter ? letter : "", o->name,
                                     o->value ? " " : "", o->value ? o->value : "");
    OWNED_MEM char *text =
        xasprintf("%s%s%s%s%s", o->help, o->many ? "; may be repeated" : "",
                  o->variable ? " [" : "", o->variable ? o->variable : "", o->variable ? "]" : "");
    entry(name, text, out);
}

void help_command(const struct command *command, FILE *out)
{
    fprintf(out, "Usage: penstock %s%s%s%s\n\n", command->name, command->arguments ? " " : "",
            command->arguments ? command->arguments : "", command->options ? " [OPTIONS]" : "");
    wrapped(command->summary, 0, 0, out);
    if (command->text)
        fprintf(out, "\n%s", command->text);
    fputs("\nOptions:\n", out);
    for (option_tables t = command->options; t && *t; t++)
        for (const struct option *o = *t; o->name; o++)
            option_entry(o, out);
    option_entry(help_option, out);
    fputs("\nExamples:\n", out);
    for (const char *line = command->examples; *line; line += strcspn(line, "\n") + 1)
        fprintf(out, "  %.*s\n", (int)strcspn(line, "\n"), line);
}

/* Text for roff: a minus is a minus, a backslash is one, a leading point or quote is text. */
static void roff_part(const char *text, size_t len, FILE *out)
{
    if (len && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '\'')
            fputs("\\(aq", out);
        else
            fputc(text[i], out);
    }
}

static void roff(const char *text, FILE *out)
{
    roff_part(text, strlen(text), out);
}

/* Paragraphs: an empty line begins the next. */
static void roff_lines(const char *text, FILE *out)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t len = strcspn(line, "\n");
        if (len == 0)
            fputs(".PP", out);
        roff_part(line, len, out);
        fputc('\n', out);
        if (!line[len])
            break;
    }
}

static void roff_entries(const char *title, const struct entry *rows, size_t count, FILE *out)
{
    fprintf(out, ".SH %s\n", title);
    for (size_t i = 0; i < count; i++) {
        fputs(".TP\n.B ", out);
        roff(rows[i].name, out);
        fputc('\n', out);
        roff(rows[i].text, out);
        fputs(".\n", out);
    }
}

static void roff_option(const struct option *o, FILE *out)
{
    if (o->letter)
        fprintf(out, ".TP\n.BR \\-%c \", \" \\-\\-", o->letter);
    else
        fputs(".TP\n.BR \\-\\-", out);
    roff(o->name, out);
    if (o->value) {
        fputs(" \" \" \\fI", out);
        roff(o->value, out);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    roff(o->help, out);
    if (o->many)
        fputs("; may be repeated", out);
    if (o->variable)
        fprintf(out, " (environment: %s)", o->variable);
    fputs(".\n", out);
}

static void roff_command(const struct command *command, FILE *out)
{
    fprintf(out, ".SS penstock %s%s%s\n", command->name, command->arguments ? " " : "",
            command->arguments ? command->arguments : "");
    roff(command->summary, out);
    fputs(".\n", out);
    if (command->text) {
        fputs(".PP\n", out);
        roff_lines(command->text, out);
    }
    for (option_tables t = command->options; t && *t; t++)
        for (const struct option *o = *t; o->name; o++)
            roff_option(o, out);
    fputs(".PP\nExamples:\n.PP\n.RS 4\n.nf\n", out);
    roff_lines(command->examples, out);
    fputs(".fi\n.RE\n", out);
}

void help_manual(FILE *out)
{
    fprintf(out, ".\\\" Made by \"penstock help --man\"; a test holds the two together.\n");
    fprintf(out, ".TH PENSTOCK 1 \"\" \"penstock %s\" \"User Commands\"\n", PENSTOCK_VERSION);
    fputs(".SH NAME\npenstock \\- serve the records of files to workers, collect their results\n"
          ".SH SYNOPSIS\n.B penstock\n.I COMMAND\n.RI [ OPTIONS ]\n.SH DESCRIPTION\n",
          out);
    roff_lines(about, out);
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; commands[i]; i++)
        roff_command(commands[i], out);
    roff_entries("EXIT STATUS", exit_statuses, COUNT(exit_statuses), out);
    roff_entries("ENVIRONMENT", variables, COUNT(variables), out);
    roff_entries("FILES", files, COUNT(files), out);
}
