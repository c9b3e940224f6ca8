/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths, folders and where the installed data are. */
#include "config.h"
#include <bragg/path.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

char *bragg_path_join(bragg_arena *arena, const char *folder, const char *name)
{
    if (*name == '/' || !*folder)
        return bragg_arena_strdup(arena, name);
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = bragg_arena_alloc(arena, n, 1);
    if (path)
        snprintf(path, n, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    return path;
}

/* "$NAME/rest" with the variable's value; NULL when it is not set. */
static char *expand(bragg_arena *arena, const char *name)
{
    char variable[64];
    size_t n = strcspn(name + 1, "/");
    if (n >= sizeof variable)
        return NULL;
    memcpy(variable, name + 1, n);
    variable[n] = 0;
    const char *value = getenv(variable);
    return value ? bragg_path_join(arena, value, name[1 + n] ? name + 2 + n : "") : NULL;
}

char *bragg_path_beside(bragg_arena *arena, const char *file, const char *name)
{
    char *expanded = *name == '$' ? expand(arena, name) : NULL;
    if (expanded)
        return expanded;
    const char *slash = strrchr(file, '/');
    char *folder = slash ? bragg_arena_strndup(arena, file, (size_t)(slash - file) + 1) : bragg_arena_strdup(arena, "");
    return folder ? bragg_path_join(arena, folder, name) : NULL;
}

const char *bragg_path_extension(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return dot && dot != base ? dot : "";
}

char *bragg_path_stem(bragg_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    return bragg_arena_strndup(arena, base, strlen(base) - strlen(bragg_path_extension(path)));
}

bool bragg_path_is_hdf5(const char *path)
{
    const char *e = bragg_path_extension(path);
    return !strcasecmp(e, ".h5") || !strcasecmp(e, ".nxs") || !strcasecmp(e, ".hdf5");
}

size_t bragg_path_split(const char *spec, const char **path, const char **slice)
{
    const char *colon = strstr(spec, ":/");
    *path = colon ? colon + 1 : spec + strlen(spec);
    *slice = *path + strcspn(*path, "[");
    return colon ? (size_t)(colon - spec) : strlen(spec);
}

bool bragg_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool bragg_path_exists(const char *path) { return access(path, F_OK) == 0; }

bragg_status bragg_path_make_folder(const char *path, bragg_error *err)
{
    if (!path) /* the caller's arena had no room for it */
        return bragg_fail(err, BRAGG_ENOMEM, "no room for the name of a folder");
    if (!*path)
        return bragg_fail(err, BRAGG_EINVAL, "folder: expected a name, found an empty one");
    char *copy = strdup(path);
    if (!copy)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    bragg_status st = BRAGG_OK;
    for (char *at = copy + 1; st == BRAGG_OK; at++) {
        char keep = *at;
        if (keep && keep != '/')
            continue;
        *at = 0;
        struct stat s;
        if (mkdir(copy, 0777) && (errno != EEXIST || stat(copy, &s) || !S_ISDIR(s.st_mode)))
            st = errno == EEXIST ? bragg_fail(err, BRAGG_EIO, "'%s': expected a folder, or a name that is free, found a file", copy)
                                 : bragg_fail(err, bragg_status_of_errno(errno), "folder '%s': %s", copy, strerror(errno));
        *at = keep;
        if (!keep)
            break;
    }
    free(copy);
    return st;
}

/* Runs of digits compare as numbers. */
static int by_nature(const void *pa, const void *pb)
{
    const char *a = *(const char *const *)pa, *b = *(const char *const *)pb;
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            a += strspn(a, "0");
            b += strspn(b, "0");
            size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
            int order = na != nb ? (na < nb ? -1 : 1) : strncmp(a, b, na);
            if (order)
                return order;
            a += na;
            b += nb;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++, b++;
        }
    }
    return *a ? 1 : *b ? -1 : strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

static bool ends_so(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = suffix ? strlen(suffix) : 0;
    return !m || (n > m && !strcasecmp(name + n - m, suffix));
}

/* The pattern that is matched by this name alone, and what follows it; to be freed. */
static char *literal_pattern(const char *name, const char *then)
{
    char *pattern = malloc(2 * strlen(name) + strlen(then) + 1), *to = pattern;
    if (!pattern)
        return NULL;
    for (; *name; *to++ = *name++)
        if (strchr("\\*?[", *name))
            *to++ = '\\';
    strcpy(to, then);
    return pattern;
}

/* A name that is there is that file or folder, whatever its letters mean to a shell. */
static bragg_status list_pattern(const char *pattern, glob_t *found, bragg_error *err)
{
    struct stat s;
    bool there = stat(pattern, &s) == 0;
    char *literal = there ? literal_pattern(pattern, S_ISDIR(s.st_mode) ? "/*" : "") : NULL;
    int code = there && !literal ? GLOB_NOSPACE : glob(there ? literal : pattern, there ? 0 : GLOB_TILDE, NULL, found);
    free(literal);
    if (code == GLOB_NOMATCH)
        return bragg_fail(err, BRAGG_EIO, strpbrk(pattern, "*?[") ? "'%s': expected files, found none" : "'%s': no such file or folder", pattern);
    if (code == GLOB_NOSPACE)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a list of files");
    return code ? bragg_fail(err, BRAGG_EIO, "'%s': cannot be listed", pattern) : BRAGG_OK;
}

bragg_status bragg_path_list(bragg_arena *arena, const char *pattern, const char *suffix, const char ***out, size_t *n, bragg_error *err)
{
    glob_t found = { 0 };
    *n = 0;
    bragg_status st = list_pattern(pattern, &found, err);
    if (st < 0)
        return st;
    const char **list = bragg_arena_alloc(arena, found.gl_pathc + 1, sizeof *list);
    bool room = list != NULL;
    for (size_t k = 0; room && k < found.gl_pathc; k++)
        if (ends_so(found.gl_pathv[k], suffix))
            room = (list[(*n)++] = bragg_arena_strdup(arena, found.gl_pathv[k])) != NULL;
    globfree(&found);
    if (!room)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a list of files");
    qsort(list, *n, sizeof *list, by_nature);
    *out = list;
    return BRAGG_OK;
}

char *bragg_data_path(bragg_arena *arena, const char *name)
{
    const char *given = getenv("BRAGG_DATADIR");
    if (given && *given)
        return bragg_path_join(arena, given, name);
    char *installed = bragg_path_join(arena, BRAGG_PKGDATADIR, name);
    if (!installed || bragg_path_exists(installed))
        return installed;
    char *built = bragg_path_join(arena, BRAGG_SOURCEDIR, name);
    return built && bragg_path_exists(built) ? built : installed;
}

bool bragg_card_is_file(const char *card) { return !strcasecmp(bragg_path_extension(card), ".cif"); }

char *bragg_card_path(bragg_arena *arena, const char *file, const char *card)
{
    char name[200];
    if (bragg_card_is_file(card))
        return file ? bragg_path_beside(arena, file, card) : bragg_arena_strdup(arena, card);
    snprintf(name, sizeof name, "cif/%.180s.cif", card);
    return bragg_data_path(arena, name);
}
