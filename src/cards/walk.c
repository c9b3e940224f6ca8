/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where cards come from: folders, shell patterns, archives, tables of CIFs. */
#include "config.h"
#include "private.h"

#include <bragg/path.h>
#include <bragg/zip.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Of one source. */
static const size_t most_bytes = (size_t)64 << 20;

static bool ends(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcasecmp(name + n - m, suffix);
}

/* Files that may hold a card; all else in a folder or archive is passed over. */
static bool is_card_name(const char *name)
{
    static const char *const kinds[] = { ".cif", ".cif.gz", ".mcif", ".jcpds", ".xml", ".aid", ".pdf2", ".csv", ".yaml", ".yml" };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (ends(name, kinds[k]))
            return true;
    return false;
}

/* A text that begins as a saved card; most do not. */
static bool is_saved_card(const char *path)
{
    char head[16] = "";
    FILE *in = ends(path, ".txt") ? fopen(path, "rb") : NULL;
    size_t n = in ? fread(head, 1, sizeof head - 1, in) : 0;
    if (in)
        fclose(in);
    return n > 4 && strstr(head, "PDF#");
}

static bool is_tar(const char *name) { return ends(name, ".tar.gz") || ends(name, ".tgz") || ends(name, ".tar"); }

static bragg_status hand_over(const cards_receiver *to, const char *path, const char *member, unsigned char *bytes, size_t size, long long changed, bragg_error *err)
{
    cards_source s = { strdup(path), strdup(member), bytes, size, changed };
    if (s.path && s.member)
        return to->take(to->payload, &s, err);
    free(s.path);
    free(s.member);
    free(bytes);
    return bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
}

/* ------------------------------------------------------------------ files */

static const char no_memory[] = "no memory";

/* Plain or gzip-compressed, with a NUL behind. */
static unsigned char *read_all(const char *path, size_t most, size_t *size, const char **reason)
{
    gzFile in = gzopen(path, "rb");
    size_t room = 1 << 14, n = 0;
    unsigned char *bytes = in ? malloc(room) : NULL;
    *reason = in ? NULL : strerror(errno);
    for (int got = 1; bytes && got > 0;) {
        if (n + 1 >= room) {
            bool small = room < most;
            unsigned char *more = small ? realloc(bytes, room *= 2) : NULL;
            if (!more) {
                *reason = small ? no_memory : "larger than a card may be (64 MiB)";
                break;
            }
            bytes = more;
        }
        got = gzread(in, bytes + n, room - n - 1 < 1u << 30 ? (unsigned)(room - n - 1) : 1u << 30);
        if (got < 0)
            *reason = "damaged gzip data";
        n += got > 0 ? (size_t)got : 0;
    }
    if (in)
        gzclose(in);
    if (!bytes || *reason) {
        *reason = *reason ? *reason : no_memory;
        free(bytes);
        return NULL;
    }
    bytes[n] = 0;
    *size = n;
    return bytes;
}

/* ---------------------------------------------------------------- mapped files */

/* A table or archive larger than memory: pages come when they are looked at and are
 * given back behind the reader.  The bytes may be changed; a NUL stands behind them. */
typedef struct mapped {
    unsigned char *bytes;
    size_t size, kept;       /* bytes before kept are given back already */
} mapped;

static const size_t keep_behind = (size_t)16 << 20;

static bool map_file(const char *path, mapped *m, const char **reason)
{
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC), write = PROT_READ | PROT_WRITE;
    *m = (mapped){ MAP_FAILED, 0, 0 };
    if (file >= 0 && fstat(file, &info) == 0) { /* the anonymous byte behind is the NUL */
        m->size = (size_t)info.st_size;
        m->bytes = mmap(NULL, m->size + 1, write, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (m->size && m->bytes != MAP_FAILED && mmap(m->bytes, m->size, write, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED) {
            munmap(m->bytes, m->size + 1);
            m->bytes = MAP_FAILED;
        }
    }
    *reason = m->bytes == MAP_FAILED ? strerror(errno) : NULL;
    if (file >= 0)
        close(file);
    return !*reason;
}

static void give_back(mapped *m, size_t behind)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (behind < m->size ? behind : m->size) / page * page;
    if (end > m->kept + keep_behind && madvise(m->bytes + m->kept, end - m->kept, MADV_DONTNEED) == 0)
        m->kept = end;
}

static bool is_gzip(const char *path)
{
    unsigned char head[2] = { 0, 0 };
    FILE *in = fopen(path, "rb");
    size_t n = in ? fread(head, 1, 2, in) : 0;
    if (in)
        fclose(in);
    return n == 2 && head[0] == 0x1f && head[1] == 0x8b;
}

/* -------------------------------------------------------------------- tar */

enum { TAR_BLOCK = 512 };

static size_t octal(const unsigned char *p, int n)
{
    size_t v = 0;
    if (p[0] & 0x80) { /* GNU: base 256 */
        for (int k = n - 8; k < n; k++)
            v = v << 8 | p[k];
        return v;
    }
    for (int k = 0; k < n && p[k]; k++)
        if (p[k] >= '0' && p[k] <= '7')
            v = 8 * v + (size_t)(p[k] - '0');
    return v;
}

static size_t tar_padded(size_t size) { return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK; }

static unsigned char *tar_body(gzFile in, size_t size)
{
    size_t padded = tar_padded(size);
    unsigned char *bytes = malloc(padded + 1);
    if (bytes && gzread(in, bytes, (unsigned)padded) == (int)padded) {
        bytes[size] = 0;
        return bytes;
    }
    free(bytes);
    return NULL;
}

/* path= of a pax header "27 path=…\n". */
static void pax_path(const unsigned char *text, size_t n, char *name, size_t room)
{
    const char *at = memmem(text, n, " path=", 6), *end = at ? memchr(at, '\n', n - (size_t)(at - (const char *)text)) : NULL;
    if (end)
        snprintf(name, room, "%.*s", (int)(end - at - 6), at + 6);
}

/* One entry, bytes NULL when it is no card; 1 go on, 0 end, -1 damaged.  POSIX.1-2017
 * ustar and pax, GNU long names. */
static int tar_entry(gzFile in, char name[1024], unsigned char **bytes, size_t *size)
{
    unsigned char h[TAR_BLOCK];
    int got = gzread(in, h, TAR_BLOCK);
    *bytes = NULL;
    if (got == 0 || (got == TAR_BLOCK && !h[0]))
        return 0;
    if (got != TAR_BLOCK)
        return -1;
    if ((*size = octal(h + 124, 12)) > most_bytes) { /* no card is: pass it over */
        *name = 0;
        return *size < LONG_MAX / 2 && gzseek(in, (z_off_t)tar_padded(*size), SEEK_CUR) >= 0 ? 1 : -1;
    }
    bool given = *name;
    if (!given && !memcmp(h + 257, "ustar", 5) && h[345])
        snprintf(name, 1024, "%.155s/%.100s", (char *)h + 345, (char *)h);
    else if (!given)
        snprintf(name, 1024, "%.100s", (char *)h);
    if (!(*bytes = tar_body(in, *size)))
        return -1;
    if (h[156] == 'L' || h[156] == 'x') {
        *name = 0;
        if (h[156] == 'L')
            snprintf(name, 1024, "%.*s", (int)*size, (char *)*bytes);
        else
            pax_path(*bytes, *size, name, 1024);
    } else if ((h[156] == '0' || !h[156]) && is_card_name(name)) {
        return 1;
    } else {
        *name = 0;
    }
    free(*bytes);
    *bytes = NULL;
    return 1;
}

static bragg_status walk_tar(const char *path, long long changed, const cards_receiver *to, bragg_error *err)
{
    gzFile in = gzopen(path, "rb");
    char name[1024] = "";
    unsigned char *bytes;
    size_t size;
    int more = -1;
    bragg_status st = in ? BRAGG_OK : bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot read: %s", path, strerror(errno));
    while (st == BRAGG_OK && (more = tar_entry(in, name, &bytes, &size)) > 0)
        if (bytes) {
            st = hand_over(to, path, name, bytes, size, changed, err);
            *name = 0;
        }
    if (in)
        gzclose(in);
    if (st == BRAGG_OK && more < 0)
        st = to->broken(to->payload, path, "", "the archive ends early or is damaged; what stands before is read", err);
    return st;
}

/* -------------------------------------------------------------------- zip */

static bragg_status take_zip_member(const char *path, const bragg_zip *z, const char *name, long long changed, const cards_receiver *to, bragg_error *err)
{
    unsigned char *bytes;
    size_t n;
    bragg_error one = BRAGG_ERROR_INIT;
    if (bragg_zip_extract(z, &bytes, &n, &one) == BRAGG_OK)
        return hand_over(to, path, name, bytes, n, changed, err);
    return one.status == BRAGG_ENOMEM ? bragg_fail(err, one.status, "%s", one.text) : to->broken(to->payload, path, name, one.text, err);
}

static bragg_status walk_zip(const char *path, long long changed, const cards_receiver *to, bragg_error *err)
{
    mapped m;
    const char *reason;
    bragg_zip z;
    if (!map_file(path, &m, &reason))
        return to->broken(to->payload, path, "", reason, err);
    bragg_status st = BRAGG_OK;
    if (!bragg_zip_open(m.bytes, m.size, &z)) {
        st = to->broken(to->payload, path, "", "not a zip archive, or one without directory", err);
        z.left = 0;
    }
    while (st == BRAGG_OK && z.left && bragg_zip_next(&z)) {
        char name[1024];
        snprintf(name, sizeof name, "%.*s", (int)z.name_length, z.name);
        if (is_card_name(name))
            st = take_zip_member(path, &z, name, changed, to, err);
        give_back(&m, z.offset);
    }
    if (st == BRAGG_OK && z.left)
        st = to->broken(to->payload, path, "", "the archive's directory is damaged; what stands before is read", err);
    munmap(m.bytes, m.size + 1);
    return st;
}

/* -------------------------------------------------------------------- csv */

/* The next field of a row (RFC 4180), unquoted in place; *end says what follows:
 * ',' '\n' or 0. */
static char *csv_field(char **at, char separator, char *end)
{
    char *p = *at, *start = p, *to = p;
    if (*p == '"') {
        for (p++; *p && !(*p == '"' && p[1] != '"'); p++) {
            p += *p == '"';
            *to++ = *p;
        }
        p += *p == '"';
    }
    while (*p && *p != separator && *p != '\n')
        *to++ = *p++;
    *end = *p == separator ? ',' : *p;
    *at = *p ? p + 1 : p;
    while (to > start && to[-1] == '\r')
        to--;
    *to = 0;
    return start;
}

/* The column named cif, and that of an identifier; false when there is none. */
static bool csv_header(char **at, char *separator, size_t *cif, size_t *id)
{
    char end = ',', *line = *at;
    char first = line[strcspn(line, ",;\t\n")];
    *separator = first == ';' || first == '\t' ? first : ','; /* one column: none is met */
    *cif = *id = (size_t)-1;
    for (size_t k = 0; end == ','; k++) {
        const char *name = csv_field(at, *separator, &end);
        if (strcasestr(name, "cif") && *cif == (size_t)-1)
            *cif = k;
        else if ((strcasestr(name, "id") || strcasestr(name, "name")) && *id == (size_t)-1)
            *id = k;
    }
    return *cif != (size_t)-1;
}

static bool has_cif_column(const unsigned char *bytes)
{
    size_t n = strcspn((const char *)bytes, "\n");
    char line[4096], *at = line, separator;
    size_t cif, id;
    snprintf(line, sizeof line, "%.*s\n", (int)(n < 4000 ? n : 4000), (const char *)bytes);
    return n && *line != '#' && csv_header(&at, &separator, &cif, &id);
}

static bragg_status walk_csv(const char *path, mapped *m, long long changed, const cards_receiver *to, bragg_error *err)
{
    char separator, *at = (char *)m->bytes;
    size_t cif, id;
    bragg_status st = BRAGG_OK;
    csv_header(&at, &separator, &cif, &id);
    for (size_t row = 1; st == BRAGG_OK && *at; row++) {
        char end = ',', name[256], *found = NULL;
        snprintf(name, sizeof name, "row %zu", row);
        for (size_t k = 0; end == ','; k++) {
            char *field = csv_field(&at, separator, &end);
            if (k == cif)
                found = field;
            else if (k == id)
                snprintf(name, sizeof name, "%.240s.cif", field);
        }
        if (!found || !*found)
            continue;
        unsigned char *copy = (unsigned char *)strdup(found);
        st = copy ? hand_over(to, path, name, copy, strlen(found), changed, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for row %zu of '%s'", row, path);
        give_back(m, (size_t)((unsigned char *)at - m->bytes));
    }
    return st;
}

/* Whether it was one; else it is a list of lines. */
static bool walk_table(const char *path, long long changed, const cards_receiver *to, bragg_status *st, bragg_error *err)
{
    mapped m;
    const char *reason;
    if (!ends(path, ".csv") || is_gzip(path) || !map_file(path, &m, &reason))
        return false;
    bool is_one = has_cif_column(m.bytes);
    if (is_one)
        *st = walk_csv(path, &m, changed, to, err);
    munmap(m.bytes, m.size + 1);
    return is_one;
}

/* ------------------------------------------------------------------- PDF-2 */

/* The card's number in columns 73 to 78 of a line of eighty. */
static bool pdf2_number(const char *line, char number[7])
{
    bool good = strcspn(line, "\r\n") >= 80 && strspn(line + 72, "0123456789") >= 6;
    snprintf(number, 7, "%.6s", good ? line + 72 : "");
    return good;
}

/* A file of several cards, one behind the other; a single one stays what it is. */
static bool walk_pdf2(const char *path, const char *text, long long changed, const cards_receiver *to, bragg_status *st, bragg_error *err)
{
    char first[7], number[7];
    bool several = false, is_one = pdf2_number(text, first);
    for (const char *line = text; is_one && !several && *line; line += strcspn(line, "\n"), line += *line == '\n')
        several = pdf2_number(line, number) && strcmp(number, first);
    for (const char *line = text, *start = text; several && *start && *st == BRAGG_OK;) {
        line += strcspn(line, "\n");
        line += *line == '\n';
        if (*line && (!pdf2_number(line, number) || !strcmp(number, first)))
            continue;
        char member[16];
        snprintf(member, sizeof member, "%.2s-%.4s.aid", first, first + 2);
        unsigned char *copy = (unsigned char *)strndup(start, (size_t)(line - start));
        *st = copy ? hand_over(to, path, member, copy, (size_t)(line - start), changed, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card of '%s'", path);
        memcpy(first, number, sizeof first);
        start = line;
    }
    return several;
}

/* ------------------------------------------------------------------- walk */

static bragg_status walk_file(const char *path, const struct stat *info, const cards_receiver *to, bragg_error *err)
{
    long long changed = (long long)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
    if (!to->wanted(to->payload, path, (size_t)info->st_size, changed))
        return BRAGG_OK;
    if (is_tar(path))
        return walk_tar(path, changed, to, err);
    if (ends(path, ".zip"))
        return walk_zip(path, changed, to, err);
    bragg_status st = BRAGG_OK;
    if (walk_table(path, changed, to, &st, err))
        return st;
    size_t size;
    const char *reason;
    unsigned char *bytes = read_all(path, most_bytes, &size, &reason);
    if (!bytes) /* the want of memory is no fault of the file's */
        return reason == no_memory ? bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path) : to->broken(to->payload, path, "", reason, err);
    if (walk_pdf2(path, (const char *)bytes, changed, to, &st, err)) {
        free(bytes);
        return st;
    }
    return hand_over(to, path, "", bytes, size, changed, err);
}

static int is_visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static bragg_status walk_folder(const char *path, const cards_receiver *to, int depth, bragg_error *err)
{
    struct dirent **entry;
    int n = scandir(path, &entry, is_visible, alphasort);
    bragg_status st = n < 0 ? bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot list: %s", path, strerror(errno)) : BRAGG_OK;
    for (int k = 0; k < n; k++) {
        char *name = NULL;
        struct stat info;
        if (st == BRAGG_OK && asprintf(&name, "%s/%s", path, entry[k]->d_name) < 0)
            st = bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
        else if (st == BRAGG_OK && lstat(name, &info) == 0 && S_ISDIR(info.st_mode) && depth < 16) /* links to folders may lead in circles */
            st = walk_folder(name, to, depth + 1, err);
        else if (st == BRAGG_OK && stat(name, &info) == 0 && S_ISREG(info.st_mode) && (is_card_name(name) || is_tar(name) || ends(name, ".zip") || is_saved_card(name)))
            st = walk_file(name, &info, to, err);
        free(name);
        free(entry[k]);
    }
    if (n >= 0)
        free(entry);
    return st;
}

bragg_status bragg_cards_walk(const char *path, const cards_receiver *to, bragg_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0)
        return S_ISDIR(info.st_mode) ? walk_folder(path, to, 0, err) : walk_file(path, &info, to, err);
    bragg_arena *arena = bragg_arena_new();
    const char **name;
    size_t n = 0;
    bragg_status st = arena ? bragg_path_list(arena, path, NULL, &name, &n, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a list of files");
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        if (stat(name[k], &info) == 0)
            st = S_ISDIR(info.st_mode) ? walk_folder(name[k], to, 0, err) : walk_file(name[k], &info, to, err);
    bragg_arena_free(arena);
    return st;
}
