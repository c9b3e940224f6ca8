/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder of a test program's own, and files in it. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[200];

/* What is made before Check can count failures. */
static inline void must(bool good, const char *text)
{
    if (!good) {
        fprintf(stderr, "it cannot be made: %s\n", text);
        exit(1);
    }
}

/* "analysis": a folder of this program's own. */
static inline void make_folder(const char *name)
{
    const char *top = getenv("TMPDIR");
    int n = snprintf(folder, sizeof folder, "%s/bragg-%s-XXXXXX", top && *top ? top : "/tmp", name);
    must(n < (int)sizeof folder && mkdtemp(folder) != NULL, folder);
}

/* With all that is in it; false when it stays. */
static inline bool drop_folder(void)
{
    char command[220];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0;
}

static inline const char *in_folder(const char *name)
{
    static char path[200][400]; /* more than a test asks for */
    static int next;
    next = (next + 1) % 200;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static inline void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");
    must(f != NULL, name);
    fputs(text, f);
    fclose(f);
}

#endif
