/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options of a command: one table for parsing and for --help. */
#include "config.h"
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void print_help(const cli_command *c, const cli_option *options, size_t n)
{
    printf("usage: bragg %s %s\n%s\n\n", c->name, c->arguments, c->summary);
    for (size_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s --%s%s%s", options[i].letter ? "-" : " ",
                 options[i].letter ? options[i].letter : ' ', options[i].letter ? "," : " ",
                 options[i].name, options[i].argument ? " " : "",
                 options[i].argument ? options[i].argument : "");
        printf("  %-28s %s\n", left, options[i].help);
    }
    printf("  -h, %-24s %s\n", "--help", "print this and exit");
}

static bool is_wavelength(const cli_option *o) { return !strncmp(o->name, "wavelength", 10); }

/* Metres, as PONI files have them, picometres and keV are what people type by mistake. */
static bragg_status check_wavelength(const cli_option *o, double value, bragg_error *err)
{
    char readings[160];
    if (!is_wavelength(o) || !(value > 0) || (value >= BRAGG_WAVELENGTH_MIN_ANG && value <= BRAGG_WAVELENGTH_MAX_ANG))
        return BRAGG_OK; /* what is not positive the command itself refuses */
    bragg_wavelength_readings(value, readings, sizeof readings);
    return bragg_fail(err, BRAGG_EINVAL, "--%s: expected angstrom from %g to %g, found %g%s", o->name, (double)BRAGG_WAVELENGTH_MIN_ANG,
                      (double)BRAGG_WAVELENGTH_MAX_ANG, value, readings);
}

static bragg_status set_value(const cli_option *o, const char *text, bragg_error *err)
{
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->value = true;
        return BRAGG_OK;
    case CLI_TEXT:
        *(const char **)o->value = text;
        return BRAGG_OK;
    case CLI_NUMBER:
        if (!bragg_number_parse(text, o->value))
            return bragg_fail(err, BRAGG_EINVAL, "--%s: expected a number, found '%s'%s", o->name, text,
                              strchr(text, ',') ? "; decimals stand behind a point"
                              : is_wavelength(o) ? "; in angstrom, without the unit: Cu Ka1 is 1.540598" : "");
        return check_wavelength(o, *(double *)o->value, err);
    case CLI_INTEGER:
        if (!bragg_integer_parse(text, o->value))
            return bragg_fail(err, BRAGG_EINVAL, "--%s: expected a whole number, found '%s'", o->name, text);
        return BRAGG_OK;
    }
    return bragg_fail(err, BRAGG_EINTERNAL, "--%s: option of no kind", o->name);
}

static bragg_status unknown(const cli_option *options, size_t n, const char *name, const char *dashes, bragg_error *err)
{
    const char *names[64];
    for (size_t i = 0; i < n && i < 64; i++)
        names[i] = options[i].name;
    const char *near = bragg_nearest(name, names, n < 64 ? n : 64);
    return bragg_fail(err, BRAGG_EINVAL, "unknown option '%s%s'%s%s%s", dashes, name, near ? "; did you mean '--" : "",
                      near ? near : "", near ? "'?" : "; --help lists them");
}

/* The option that argv[*i] names; *text its value, taken from "=" or the next word. */
static bragg_status one_option(const cli_option *options, size_t n, int argc, char **argv, int *i,
                               bragg_error *err)
{
    const char *word = argv[*i], *equal = NULL, *text = NULL;
    bool is_long = word[1] == '-';
    size_t length = is_long ? strcspn(word + 2, "=") : 1;
    if (is_long && word[2 + length] == '=')
        equal = word + 3 + length;
    for (size_t k = 0; k < n; k++) {
        const cli_option *o = &options[k];
        bool same = is_long ? strlen(o->name) == length && !strncmp(o->name, word + 2, length)
                            : o->letter && word[1] == o->letter && !word[2];
        if (!same)
            continue;
        if (o->kind == CLI_FLAG && equal)
            return bragg_fail(err, BRAGG_EINVAL, "--%s: takes no value, found '%s'", o->name, equal);
        if (o->kind != CLI_FLAG)
            text = equal ? equal : *i + 1 < argc ? argv[++*i] : NULL;
        if (o->kind != CLI_FLAG && !text)
            return bragg_fail(err, BRAGG_EINVAL, "--%s: expected a value, found the end", o->name);
        return set_value(o, text, err);
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)length, is_long ? word + 2 : word + 1);
    return unknown(options, n, is_long ? name : word + 1, is_long ? "--" : "-", err);
}

/* Parse argv[1..]: "--name value", "--name=value", "-x value", "--" ends the options.
 * Operands move to the front of argv; *n_operands counts them.  *help is set when --help
 * was asked for and printed. */
static bragg_status parse(const cli_command *command, const cli_option *options, size_t n_options,
                          int argc, char **argv, int *n_operands, bool *help, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    int operands = 0;
    bool open = true;
    *help = false;
    for (int i = 1; i < argc && st == BRAGG_OK; i++) {
        if (open && !strcmp(argv[i], "--"))
            open = false;
        else if (open && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")))
            *help = true;
        else if (open && argv[i][0] == '-' && argv[i][1])
            st = one_option(options, n_options, argc, argv, &i, err);
        else
            argv[operands++] = argv[i];
    }
    *n_operands = operands;
    if (*help && st == BRAGG_OK)
        print_help(command, options, n_options);
    return st;
}

bragg_status cli_range(const char *option, const char *text, double *first, double *last, bragg_error *err)
{
    const char *at = text;
    if (!bragg_number_scan(at, &at, first) || *at++ != ',' || !bragg_number_parse(at, last))
        return bragg_fail(err, BRAGG_EINVAL, "--%s: expected FIRST,LAST, found '%s'", option, text);
    return BRAGG_OK;
}

bragg_status cli_range_ascending(const char *option, const char *text, double *first, double *last, bragg_error *err)
{
    bragg_status st = cli_range(option, text, first, last, err);
    if (st == BRAGG_OK && !(*first < *last))
        st = bragg_fail(err, BRAGG_EINVAL, "--%s: expected the smaller number first, found '%s'", option, text);
    return st;
}

bragg_status cli_elements(const char *option, const char *text, unsigned char out[64], size_t *n, bragg_error *err)
{
    *n = 0;
    while (*text) {
        char name[4] = "";
        size_t length = strcspn(text, ", ");
        bragg_scatterer s;
        if (length >= 1 && length <= 2 && *n < 64) {
            memcpy(name, text, length);
            if (bragg_scatterer_find(name, &s, NULL, NULL) == BRAGG_OK && !strcasecmp(s.name, name)) { /* not a label like OW */
                out[(*n)++] = (unsigned char)s.z;
                text += length + strspn(text + length, ", ");
                continue;
            }
        }
        return bragg_fail(err, BRAGG_EINVAL, "--%s: expected symbols like Bi,Sb,K, found '%.*s'", option, (int)(length < 20 ? length : 20), text);
    }
    return BRAGG_OK;
}

bragg_status cli_one(const char *what, int operands, char **argv, bragg_error *err)
{
    if (operands == 1)
        return BRAGG_OK;
    if (!operands)
        return bragg_fail(err, BRAGG_EINVAL, "expected one %s, found none", what);
    return bragg_fail(err, BRAGG_EINVAL, "expected one %s, found %d names: '%.60s', '%.60s'%s", what, operands, argv[0], argv[1], operands > 2 ? " …" : "");
}

bragg_status cli_said(bragg_status status, bragg_error *err)
{
    *err = (bragg_error){ .status = status };
    return status;
}

int cli_run(const cli_command *command, const cli_option *options, size_t n_options, int argc, char **argv, cli_work *work, void *wish)
{
    bragg_error err = BRAGG_ERROR_INIT;
    bool help;
    int operands;
    bragg_status st = parse(command, options, n_options, argc, argv, &operands, &help, &err);
    if (st == BRAGG_OK && help)
        return 0;
    if (st == BRAGG_OK)
        st = work(wish, operands, argv, &err);
    bool said = st < 0 && err.status == st && !*err.text;
    if (st < 0 && !said)
        fprintf(stderr, "bragg %s: %s\n", command->name, *err.text ? err.text : bragg_status_name(st));
    return bragg_status_exit(st);
}
