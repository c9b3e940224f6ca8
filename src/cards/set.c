/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The set of cards: one SQLite file. */
#include "config.h"
#include "private.h"

#include <bragg/array.h>
#include <bragg/output.h>
#include <bragg/units.h>
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_VERSION = 1, SET_MARK = 0x62726367 /* "brcg", in the file's header */ };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS source(id INTEGER PRIMARY KEY, path TEXT NOT NULL, member TEXT NOT NULL, hash TEXT NOT NULL, size INTEGER, changed INTEGER,"
    " reason TEXT, UNIQUE(path, member));"
    "CREATE TABLE IF NOT EXISTS card(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL, formula TEXT, space_group TEXT, reference TEXT, note TEXT,"
    " pdf TEXT, cod TEXT, icsd TEXT, group_number INTEGER, a REAL, b REAL, c REAL, alpha REAL, beta REAL, gamma REAL, density REAL, rir REAL,"
    " flags INTEGER, elements BLOB, lines BLOB NOT NULL, structure BLOB);"
    "CREATE INDEX IF NOT EXISTS card_source ON card(source);"
    "CREATE INDEX IF NOT EXISTS card_name ON card(name);"
    "CREATE TABLE IF NOT EXISTS member(source INTEGER, set_name TEXT, title TEXT, card TEXT, pdf TEXT, window TEXT, note TEXT, origin TEXT);"
    "CREATE TABLE IF NOT EXISTS search(first INTEGER PRIMARY KEY, n INTEGER, data BLOB);";

bragg_status bragg_cards_sql_fail(const bragg_cards *set, bragg_error *err)
{
    int cause = sqlite3_system_errno(set->db);
    const char *path = set->path;
    switch (sqlite3_errcode(set->db)) {
    case SQLITE_NOMEM:
        return bragg_fail(err, BRAGG_ENOMEM, "'%s': no room for its cards", path);
    case SQLITE_CANTOPEN:
        if (!set->writes)
            return bragg_fail(err, bragg_status_of_errno(cause), "'%s': cannot be read: %s", path, cause ? strerror(cause) : sqlite3_errmsg(set->db));
        return bragg_output_refused(path, cause ? cause : EACCES, err);
    case SQLITE_READONLY:
        return bragg_fail(err, BRAGG_EIO, "'%s': cannot be added to: expected a file and a folder that can be written; name another set, or copy it", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return bragg_fail(err, BRAGG_EIO, "'%s': another bragg cards build is writing it; repeat when that has ended", path);
    case SQLITE_FULL:
        return bragg_fail(err, BRAGG_EIO, "'%s': not written: the disk is full", path);
    case SQLITE_NOTADB:
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected a card set made by bragg cards build, found another file", path);
    case SQLITE_CORRUPT:
        return bragg_fail(err, BRAGG_EDATA, "'%s': is damaged (%s); remove it and build it again", path, sqlite3_errmsg(set->db));
    default:
        return bragg_fail(err, bragg_status_of_errno(cause), "'%s': %s%s%s", path, sqlite3_errmsg(set->db), cause ? ": " : "", cause ? strerror(cause) : "");
    }
}

void bragg_cards_free(bragg_cards *set)
{
    if (!set)
        return;
    sqlite3_close(set->db);
    free(set->path);
    free(set);
}

static long long pragma(const bragg_cards *set, const char *sql)
{
    sqlite3_stmt *q;
    long long v = -1;
    if (sqlite3_prepare_v2(set->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        v = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return v;
}

static bragg_status open_file(const char *path, int flags, bragg_cards **out, bragg_error *err)
{
    bragg_cards *set = calloc(1, sizeof *set);
    *out = NULL;
    if (set)
        set->writes = (flags & SQLITE_OPEN_READWRITE) != 0;
    if (!set || !(set->path = strdup(path)) || sqlite3_open_v2(path, &set->db, flags, NULL) != SQLITE_OK) {
        bragg_status st = set && set->db ? bragg_cards_sql_fail(set, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card set");
        bragg_cards_free(set);
        return st;
    }
    sqlite3_busy_timeout(set->db, 10000);
    *out = set;
    return BRAGG_OK;
}

/* Neither read nor written: cards of another version mean other things; below zero it could not
 * be asked for. */
static bragg_status version_fail(const bragg_cards *set, long long version, bragg_error *err)
{
    return version < 0 ? bragg_cards_sql_fail(set, err)
                       : bragg_fail(err, BRAGG_ENOSUPPORT, version > SET_VERSION ? "'%s': expected a card set of version %d, found %lld, made by a newer bragg: use that one, or build a set of another name"
                                                                   : "'%s': expected a card set of version %d, found %lld, made by an older bragg: remove it and build it again",
                      set->path, SET_VERSION, version);
}

bragg_status bragg_cards_open(const char *path, bragg_cards **out, bragg_error *err)
{
    bragg_status st = open_file(path, SQLITE_OPEN_READONLY, out, err);
    if (st < 0)
        return st;
    long long mark = pragma(*out, "PRAGMA application_id"), version = pragma(*out, "PRAGMA user_version");
    if (mark < 0 && sqlite3_extended_errcode((*out)->db) == SQLITE_READONLY_ROLLBACK) /* a journal that only a writer may undo */
        st = bragg_fail(err, BRAGG_EDATA, "'%s': its build was interrupted; repeat it, and it goes on where it was", path);
    else if (mark != SET_MARK)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected a card set made by bragg cards build, found another file", path);
    else if (version != SET_VERSION)
        st = version_fail(*out, version, err);
    if (st < 0) {
        bragg_cards_free(*out);
        *out = NULL;
    }
    return st;
}

bragg_status bragg_cards_create(const char *path, bragg_cards **out, bragg_error *err)
{
    char sql[128];
    bragg_status st = open_file(path ? path : ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, out, err);
    if (st < 0)
        return st;
    long long mark = pragma(*out, "PRAGMA application_id"), tables = pragma(*out, "SELECT count(*) FROM sqlite_schema"), version;
    if (mark < 0)
        st = bragg_cards_sql_fail(*out, err);
    else if (tables > 0 && mark != SET_MARK)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': expected a card set or no file, found another SQLite file", path);
    else if (tables > 0 && (version = pragma(*out, "PRAGMA user_version")) != SET_VERSION)
        st = version_fail(*out, version, err);
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; PRAGMA synchronous = NORMAL", SET_MARK, SET_VERSION);
    if (st == BRAGG_OK && (sqlite3_exec((*out)->db, sql, NULL, NULL, NULL) || sqlite3_exec((*out)->db, schema, NULL, NULL, NULL)))
        st = bragg_cards_sql_fail(*out, err);
    if (st < 0) {
        bragg_cards_free(*out);
        *out = NULL;
    }
    return st;
}

size_t bragg_cards_count(const bragg_cards *set)
{
    long long n = pragma(set, "SELECT count(*) FROM card");
    return n > 0 ? (size_t)n : 0;
}

/* ------------------------------------------------------------------ cards */

static const char *column(bragg_card *c, sqlite3_stmt *q, int k)
{
    const unsigned char *text = sqlite3_column_text(q, k);
    const char *copy = text ? bragg_arena_strdup(c->arena, (const char *)text) : "";
    return copy ? copy : "";
}

static double number(sqlite3_stmt *q, int k) { return sqlite3_column_type(q, k) == SQLITE_NULL ? NAN : sqlite3_column_double(q, k); }

static bragg_status fill_card(sqlite3_stmt *q, bragg_card *c, bragg_error *err)
{
    const char **texts[] = { &c->name, &c->formula, &c->space_group, &c->reference, &c->note, &c->pdf, &c->cod, &c->icsd };
    for (int k = 0; k < 8; k++)
        *texts[k] = column(c, q, k);
    c->group_number = sqlite3_column_int(q, 8);
    for (int k = 0; k < 6; k++)
        (&c->cell.a)[k] = number(q, 9 + k) * (k < 3 ? 1 : BRAGG_DEG);
    c->density = number(q, 15);
    c->rir = number(q, 16);
    c->flags = (unsigned)sqlite3_column_int(q, 17);
    int n = sqlite3_column_bytes(q, 18);
    c->n_elements = (size_t)(n < (int)sizeof c->elements ? n : (int)sizeof c->elements);
    if (n)
        memcpy(c->elements, sqlite3_column_blob(q, 18), c->n_elements);
    const char *path = column(c, q, 20), *member = column(c, q, 21);
    c->hash = column(c, q, 22);
    c->has_structure = sqlite3_column_int(q, 23) > 0;
    size_t room = strlen(path) + strlen(member) + 2;
    char *source = bragg_arena_alloc(c->arena, room, 1);
    if (!source)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    snprintf(source, room, "%s%s%s", path, *member ? ":" : "", member);
    c->source = source;
    return bragg_cards_unpack_lines(sqlite3_column_blob(q, 19), (size_t)sqlite3_column_bytes(q, 19), c, err);
}

bragg_status bragg_cards_card(const bragg_cards *set, long long id, bragg_card **out, bragg_error *err)
{
    sqlite3_stmt *q;
    bragg_arena *arena = bragg_arena_new();
    bragg_card *c = arena ? bragg_arena_alloc(arena, 1, sizeof *c) : NULL;
    *out = NULL;
    if (!c) {
        bragg_arena_free(arena);
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
    }
    c->arena = arena;
    c->id = id;
    bragg_status st = BRAGG_OK;
    if (sqlite3_prepare_v2(set->db, "SELECT name, formula, space_group, reference, note, card.pdf, cod, icsd, group_number, a, b, c, alpha, beta, gamma, density, rir,"
                           " flags, elements, lines, path, member, hash, length(structure) FROM card JOIN source ON source.id = card.source WHERE card.id = ?",
                           -1, &q, NULL) != SQLITE_OK)
        st = bragg_cards_sql_fail(set, err);
    else if (sqlite3_bind_int64(q, 1, id), sqlite3_step(q) != SQLITE_ROW)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': has no card %lld", set->path, id);
    else
        st = fill_card(q, c, err);
    sqlite3_finalize(q);
    if (st < 0)
        bragg_arena_free(arena);
    else
        *out = c;
    return st;
}

bragg_status bragg_cards_structure(const bragg_cards *set, long long id, bragg_structure **out, bragg_error *err)
{
    bragg_card *c;
    sqlite3_stmt *q;
    *out = NULL;
    bragg_status st = bragg_cards_card(set, id, &c, err);
    if (st < 0)
        return st;
    if (sqlite3_prepare_v2(set->db, "SELECT structure FROM card WHERE id = ?", -1, &q, NULL) != SQLITE_OK)
        st = bragg_cards_sql_fail(set, err);
    else if (sqlite3_bind_int64(q, 1, id), sqlite3_step(q) != SQLITE_ROW || !sqlite3_column_bytes(q, 0))
        st = bragg_fail(err, BRAGG_EDATA, "card '%s': has no structure in the set", c->name);
    else
        st = bragg_cards_unpack_structure(sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0), c, out, err);
    sqlite3_finalize(q);
    bragg_card_free(c);
    return st;
}

const char *bragg_card_flags_text(unsigned flags, char text[160])
{
    static const char *const names[] = { "partial occupancies", "disorder", "hydrogen missing", "computed structure", "list of lines", "more lines exist", "intensities estimated" };
    size_t used = 0;
    text[0] = 0;
    for (int k = 0; k < 7; k++)
        if (flags & 1u << k)
            used += (size_t)snprintf(text + used, 160 - used, "%s%s", used ? ", " : "", names[k]);
    return text;
}

/* ------------------------------------------------------------------- list */

bool bragg_cards_elements_pass(const bragg_cards_filter *f, const unsigned char *e, size_t n)
{
    for (size_t k = 0; k < f->n_must; k++)
        if (!memchr(e, f->must[k], n))
            return false;
    for (size_t k = 0; k < n; k++) {
        if (f->n_not && memchr(f->not, e[k], f->n_not))
            return false;
        if (f->n_may && !memchr(f->may, e[k], f->n_may) && !(f->n_must && memchr(f->must, e[k], f->n_must)))
            return false;
    }
    return n > 0 || (!f->n_must && !f->n_may);
}

/* 2: the very name or number; 1: matches; 0: not. */
static int text_rank(const char *wanted, sqlite3_stmt *q)
{
    if (!wanted || !*wanted)
        return 1;
    if (!strncasecmp(wanted, "PDF", 3) || !strncasecmp(wanted, "COD", 3))
        wanted += 3 + strspn(wanted + 3, "# ");
    else if (!strncasecmp(wanted, "ICSD", 4))
        wanted += 4 + strspn(wanted + 4, "# ");
    int rank = 0;
    for (int k = 1; k <= 5; k++) { /* name, formula, pdf, cod, icsd */
        const char *text = (const char *)sqlite3_column_text(q, k);
        if (!text)
            continue;
        if (!strcmp(text, wanted))
            rank = 2;
        else if (rank < 1 && k <= 2 && (fnmatch(wanted, text, FNM_CASEFOLD) == 0 || strcasestr(text, wanted)))
            rank = 1;
    }
    return rank;
}

bragg_status bragg_cards_list(const bragg_cards *set, const bragg_cards_filter *filter, long long **ids, size_t *n, bragg_error *err)
{
    static const bragg_cards_filter all;
    const bragg_cards_filter *f = filter ? filter : &all;
    sqlite3_stmt *q;
    size_t room = 0, exact = 0;
    bragg_status st = BRAGG_OK;
    *ids = NULL;
    *n = 0;
    if (sqlite3_prepare_v2(set->db, f->set ? "SELECT id, name, formula, pdf, cod, icsd, elements FROM card WHERE name IN (SELECT card FROM member WHERE set_name = ?) ORDER BY formula, name, id"
                                           : "SELECT id, name, formula, pdf, cod, icsd, elements FROM card ORDER BY formula, name, id", -1, &q, NULL) != SQLITE_OK)
        return bragg_cards_sql_fail(set, err);
    if (f->set)
        sqlite3_bind_text(q, 1, f->set, -1, SQLITE_STATIC);
    int code;
    while ((code = sqlite3_step(q)) == SQLITE_ROW && st == BRAGG_OK) {
        int rank = text_rank(f->text, q);
        if (!rank || !bragg_cards_elements_pass(f, sqlite3_column_blob(q, 6), (size_t)sqlite3_column_bytes(q, 6)))
            continue;
        if ((st = bragg_array_grow(ids, &room, *n + 1, sizeof **ids, err)) < 0)
            break;
        size_t at = rank == 2 ? exact++ : *n;
        memmove(*ids + at + 1, *ids + at, (*n - at) * sizeof **ids);
        (*ids)[at] = sqlite3_column_int64(q, 0);
        ++*n;
    }
    if (st == BRAGG_OK && code != SQLITE_DONE)
        st = bragg_cards_sql_fail(set, err);
    sqlite3_finalize(q);
    return st;
}

/* ------------------------------------------------------------ other tables */

static const char *text_at(sqlite3_stmt *q, int k)
{
    const char *text = (const char *)sqlite3_column_text(q, k);
    return text ? text : "";
}

bragg_status bragg_cards_members(const bragg_cards *set, bool (*each)(void *, const bragg_cards_member *), void *payload, bragg_error *err)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(set->db, "SELECT set_name, title, card, pdf, window, note, origin FROM member ORDER BY rowid", -1, &q, NULL) != SQLITE_OK)
        return bragg_cards_sql_fail(set, err);
    int code;
    bool more = true;
    while (more && (code = sqlite3_step(q)) == SQLITE_ROW) {
        bragg_cards_member m = { text_at(q, 0), text_at(q, 1), text_at(q, 2), text_at(q, 3), text_at(q, 4), text_at(q, 5), text_at(q, 6) };
        more = each(payload, &m);
    }
    bragg_status st = more && code != SQLITE_DONE ? bragg_cards_sql_fail(set, err) : BRAGG_OK;
    sqlite3_finalize(q);
    return st;
}

bragg_status bragg_cards_skipped(const bragg_cards *set, bool (*each)(void *, const char *, const char *), void *payload, bragg_error *err)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(set->db, "SELECT path || CASE member WHEN '' THEN '' ELSE ':' || member END, reason FROM source WHERE reason IS NOT NULL ORDER BY id", -1, &q, NULL) != SQLITE_OK)
        return bragg_cards_sql_fail(set, err);
    int code;
    bool more = true;
    while (more && (code = sqlite3_step(q)) == SQLITE_ROW)
        more = each(payload, text_at(q, 0), text_at(q, 1));
    bragg_status st = more && code != SQLITE_DONE ? bragg_cards_sql_fail(set, err) : BRAGG_OK;
    sqlite3_finalize(q);
    return st;
}

/* ----------------------------------------------------------------- search */

enum { CHUNK = 4096, RECORD = 4 + 8 * CARDS_MASK_WORDS + 1 + 3 * CARDS_SEARCH_LINES };

/* One card of the search table: id, elements, n, n x (at u16, weight u8). */
static size_t search_record(const bragg_card *c, unsigned char *to)
{
    unsigned char *p = to;
    uint64_t mask[CARDS_MASK_WORDS] = { 0 };
    size_t order[CARDS_SEARCH_LINES], n = 0;
    for (size_t k = 0; k < c->n_elements; k++)
        mask[c->elements[k] / 64 % CARDS_MASK_WORDS] |= (uint64_t)1 << c->elements[k] % 64;
    for (int k = 0; k < 4; k++)
        *p++ = (unsigned char)(c->id >> 8 * k & 255);
    for (int k = 0; k < CARDS_MASK_WORDS * 8; k++)
        *p++ = (unsigned char)(mask[k / 8] >> 8 * (k % 8) & 255);
    for (size_t k = 0; k < c->n_lines; k++) { /* the strongest, by insertion */
        size_t at = n;
        while (at > 0 && c->line[order[at - 1]].intensity < c->line[k].intensity)
            at--;
        if (at == CARDS_SEARCH_LINES)
            continue;
        n += n < CARDS_SEARCH_LINES;
        memmove(order + at + 1, order + at, (n - at - 1) * sizeof *order);
        order[at] = k;
    }
    *p++ = (unsigned char)n;
    for (size_t k = 0; k < n; k++) {
        const bragg_card_line *l = &c->line[order[k]];
        long at = lrint(log(l->d_ang / CARDS_D_MIN) / CARDS_LN_STEP);
        at = at < 0 ? 0 : at > 65535 ? 65535 : at;
        *p++ = (unsigned char)(at & 255);
        *p++ = (unsigned char)(at >> 8);
        *p++ = (unsigned char)lrint(255 * sqrt(l->intensity / 100));
    }
    return (size_t)(p - to);
}

static bragg_status store_chunk(bragg_cards *set, long long first, int n, const unsigned char *data, size_t size, bragg_error *err)
{
    sqlite3_stmt *q;
    bragg_status st = BRAGG_OK;
    if (sqlite3_prepare_v2(set->db, "INSERT INTO search VALUES(?, ?, ?)", -1, &q, NULL) != SQLITE_OK)
        return bragg_cards_sql_fail(set, err);
    sqlite3_bind_int64(q, 1, first);
    sqlite3_bind_int(q, 2, n);
    sqlite3_bind_blob64(q, 3, data, size, SQLITE_STATIC);
    if (sqlite3_step(q) != SQLITE_DONE)
        st = bragg_cards_sql_fail(set, err);
    sqlite3_finalize(q);
    return st;
}

static bragg_status rebuild_rows(bragg_cards *set, sqlite3_stmt *q, unsigned char *data, bragg_error *err)
{
    size_t used = 0;
    long long first = 0;
    int n = 0, code = SQLITE_DONE;
    bragg_status st = BRAGG_OK;
    while (st == BRAGG_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        bragg_card c = { .arena = bragg_arena_new(), .id = sqlite3_column_int64(q, 0) };
        for (int k = 0; k < 6; k++)
            (&c.cell.a)[k] = number(q, 3 + k) * (k < 3 ? 1 : BRAGG_DEG);
        c.n_elements = (size_t)sqlite3_column_bytes(q, 1) % (sizeof c.elements + 1);
        if (c.n_elements)
            memcpy(c.elements, sqlite3_column_blob(q, 1), c.n_elements);
        st = c.arena ? bragg_cards_unpack_lines(sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2), &c, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a card");
        first = n ? first : c.id;
        if (st == BRAGG_OK)
            used += search_record(&c, data + used);
        bragg_arena_free(c.arena);
        if (++n == CHUNK && st == BRAGG_OK) {
            st = store_chunk(set, first, n, data, used, err);
            n = 0;
            used = 0;
        }
    }
    if (st == BRAGG_OK && code != SQLITE_DONE)
        st = bragg_cards_sql_fail(set, err);
    return st == BRAGG_OK && n ? store_chunk(set, first, n, data, used, err) : st;
}

bragg_status bragg_cards_search_rebuild(bragg_cards *set, bragg_error *err)
{
    sqlite3_stmt *q = NULL;
    unsigned char *data = malloc((size_t)CHUNK * RECORD);
    bragg_status st = data ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for the search table");
    if (st == BRAGG_OK && (sqlite3_exec(set->db, "BEGIN; DELETE FROM search", NULL, NULL, NULL) ||
                           sqlite3_prepare_v2(set->db, "SELECT id, elements, lines, a, b, c, alpha, beta, gamma FROM card ORDER BY id", -1, &q, NULL)))
        st = bragg_cards_sql_fail(set, err);
    if (st == BRAGG_OK)
        st = rebuild_rows(set, q, data, err);
    sqlite3_finalize(q);
    if (sqlite3_exec(set->db, st == BRAGG_OK ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) && st == BRAGG_OK)
        st = bragg_cards_sql_fail(set, err);
    free(data);
    return st;
}

void bragg_cards_search_free(cards_search *s)
{
    free(s->id);
    free(s->first);
    free(s->elements);
    free(s->at);
    free(s->weight);
    *s = (cards_search){ 0 };
}

static bool take_records(cards_search *s, const unsigned char *p, size_t size, size_t n, size_t *room)
{
    const unsigned char *end = p + size;
    for (; n; n--) {
        if ((size_t)(end - p) < 5 + 8 * CARDS_MASK_WORDS)
            return false;
        size_t lines = p[4 + 8 * CARDS_MASK_WORDS], k = s->n, from = s->first[k];
        s->id[k] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        for (int w = 0; w < CARDS_MASK_WORDS; w++) {
            s->elements[k][w] = 0;
            for (int b = 0; b < 8; b++)
                s->elements[k][w] |= (uint64_t)p[4 + 8 * w + b] << 8 * b;
        }
        p += 5 + 8 * CARDS_MASK_WORDS;
        if ((size_t)(end - p) < 3 * lines || from + lines > *room)
            return false;
        for (size_t i = 0; i < lines; i++, p += 3) {
            s->at[from + i] = (uint16_t)(p[0] | p[1] << 8);
            s->weight[from + i] = p[2];
        }
        s->first[k + 1] = (uint32_t)(from + lines);
        s->n++;
    }
    return true;
}

bragg_status bragg_cards_search_load(const bragg_cards *set, cards_search *s, bragg_error *err)
{
    sqlite3_stmt *q;
    size_t n = bragg_cards_count(set), room = n * CARDS_SEARCH_LINES;
    *s = (cards_search){ 0 };
    s->id = malloc((n + 1) * sizeof *s->id);
    s->first = calloc(n + 2, sizeof *s->first);
    s->elements = malloc((n + 1) * sizeof *s->elements);
    s->at = malloc((room + 1) * sizeof *s->at);
    s->weight = malloc(room + 1);
    bragg_status st = s->id && s->first && s->elements && s->at && s->weight ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room to search %zu cards", n);
    if (st == BRAGG_OK && sqlite3_prepare_v2(set->db, "SELECT n, data FROM search ORDER BY first", -1, &q, NULL) != SQLITE_OK)
        st = bragg_cards_sql_fail(set, err);
    if (st == BRAGG_OK) {
        int code = SQLITE_DONE;
        while (st == BRAGG_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
            if (s->n + (size_t)sqlite3_column_int64(q, 0) > n || !take_records(s, sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1), (size_t)sqlite3_column_int64(q, 0), &room))
                st = bragg_fail(err, BRAGG_EDATA, "'%s': the search table is damaged; repeat bragg cards build", set->path);
        if (st == BRAGG_OK && code != SQLITE_DONE)
            st = bragg_cards_sql_fail(set, err);
        sqlite3_finalize(q);
    }
    if (st == BRAGG_OK && s->n != n)
        st = bragg_fail(err, BRAGG_EDATA, "'%s': its build did not end (%zu of %zu cards can be searched); repeat it, and it goes on where it was", set->path, s->n, n);
    if (st < 0)
        bragg_cards_search_free(s);
    return st;
}
