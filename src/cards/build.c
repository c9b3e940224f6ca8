/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Building a set: sources are read in order, made into cards on all threads, and
 * stored in order, a transaction a batch. */
#include "config.h"
#include "private.h"

#include <bragg/thread.h>
#include <bragg/units.h>
#include <libxml/parser.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256 };
static const size_t batch_bytes = (size_t)32 << 20;

typedef struct made {
    cards_source source;
    char hash[BRAGG_HASH_TEXT];
    long long row;               /* of its source in the set, -1 when new */
    bool same;                   /* bytes as before */
    bragg_status status;
    bragg_error error;
    bragg_card *card;
    unsigned char *structure, *lines;
    size_t structure_size, lines_size;
    cards_named_set *named;
} made;

typedef struct builder {
    bragg_cards *set;
    const bragg_observer *observer;
    bragg_cards_report *report;
    made *batch;
    size_t n, bytes, seen;
    sqlite3_stmt *find, *known, *keep, *add_source, *update_source, *drop, *drop_members, *add_card, *add_member;
    bool stopped, changed;
    bragg_error own;         /* why nothing was stored, where that is not SQLite's to tell */
} builder;

static bool prepare(builder *b)
{
    struct { sqlite3_stmt **q; const char *sql; } list[] = {
        { &b->find, "SELECT id, hash, reason FROM source WHERE path = ? AND member = ?" },
        { &b->known, "SELECT count(*), sum(reason IS NULL) FROM source WHERE path = ? AND size = ? AND changed = ?" },
        { &b->keep, "UPDATE source SET size = ?2, changed = ?3 WHERE id = ?1" },
        { &b->add_source, "INSERT INTO source(path, member, hash, size, changed, reason) VALUES(?, ?, ?, ?, ?, ?)" },
        { &b->update_source, "UPDATE source SET hash = ?2, size = ?3, changed = ?4, reason = ?5 WHERE id = ?1" },
        { &b->drop, "DELETE FROM card WHERE source = ?" },
        { &b->drop_members, "DELETE FROM member WHERE source = ?" },
        { &b->add_card, "INSERT INTO card(source, name, formula, space_group, reference, note, pdf, cod, icsd, group_number, a, b, c, alpha, beta, gamma, density, rir,"
                        " flags, elements, lines, structure) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)" },
        { &b->add_member, "INSERT INTO member VALUES(?, ?, ?, ?, ?, ?, ?, ?)" } };
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        if (sqlite3_prepare_v3(b->set->db, list[k].sql, -1, SQLITE_PREPARE_PERSISTENT, list[k].q, NULL) != SQLITE_OK)
            return false;
    return true;
}

static void finalize(builder *b)
{
    sqlite3_stmt *list[] = { b->find, b->known, b->keep, b->add_source, b->update_source, b->drop, b->drop_members, b->add_card, b->add_member };
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        sqlite3_finalize(list[k]);
}

static bool step(sqlite3_stmt *q)
{
    bool done = sqlite3_step(q) == SQLITE_DONE;
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return done;
}

static void clear(made *m)
{
    free(m->source.path);
    free(m->source.member);
    free(m->source.bytes);
    free(m->structure);
    free(m->lines);
    bragg_card_free(m->card);
    if (m->named) {
        for (size_t k = 0; k < m->named->n_cards; k++)
            bragg_card_free(m->named->card[k]);
        bragg_arena_free(m->named->arena);
    }
    *m = (made){ 0 };
}

/* ------------------------------------------------------------------- make */

static bool is_named_set(const cards_source *s)
{
    const char *name = *s->member ? s->member : s->path;
    size_t n = strlen(name);
    return (n > 5 && !strcasecmp(name + n - 5, ".yaml")) || (n > 4 && !strcasecmp(name + n - 4, ".yml"));
}

static bragg_status make_range(void *payload, size_t first, size_t last, bragg_error *err)
{
    builder *b = payload;
    for (size_t k = first; k < last; k++) {
        made *m = &b->batch[k];
        if (m->same || m->status < 0)
            continue;
        if (is_named_set(&m->source))
            m->status = bragg_cards_read_set(&m->source, &m->named, &m->error);
        else
            m->status = bragg_cards_read(&m->source, &m->card, &m->structure, &m->structure_size, &m->error);
        if (m->status == BRAGG_OK && m->card)
            m->status = bragg_cards_pack_lines(m->card, &m->lines, &m->lines_size, &m->error);
        if (m->status == BRAGG_ENOMEM)
            return bragg_fail(err, BRAGG_ENOMEM, "%s", m->error.text);
    }
    return BRAGG_OK;
}

/* ------------------------------------------------------------------ store */

static void bind_number(sqlite3_stmt *q, int k, double v)
{
    if (isfinite(v))
        sqlite3_bind_double(q, k, v);
}

static bool store_card(builder *b, long long source, const bragg_card *c, const unsigned char *lines, size_t n_lines, const unsigned char *structure, size_t n_structure)
{
    sqlite3_stmt *q = b->add_card;
    const char *texts[] = { c->name, c->formula, c->space_group, c->reference, c->note, c->pdf, c->cod, c->icsd };
    sqlite3_bind_int64(q, 1, source);
    for (int k = 0; k < 8; k++)
        if (*texts[k])
            sqlite3_bind_text(q, 2 + k, texts[k], -1, SQLITE_STATIC);
    sqlite3_bind_int(q, 10, c->group_number);
    for (int k = 0; k < 6; k++)
        bind_number(q, 11 + k, c->cell.a > 0 ? (&c->cell.a)[k] / (k < 3 ? 1 : BRAGG_DEG) : NAN);
    bind_number(q, 17, c->density);
    bind_number(q, 18, c->rir);
    sqlite3_bind_int(q, 19, (int)c->flags);
    sqlite3_bind_blob(q, 20, c->elements, (int)c->n_elements, SQLITE_STATIC);
    sqlite3_bind_blob64(q, 21, lines, n_lines, SQLITE_STATIC);
    if (structure)
        sqlite3_bind_blob64(q, 22, structure, n_structure, SQLITE_STATIC);
    b->report->added++;
    return step(q);
}

static bool store_named(builder *b, long long source, const cards_named_set *s)
{
    bool good = true;
    for (size_t k = 0; k < s->n_members && good; k++) {
        const bragg_cards_member *m = &s->member[k];
        const char *texts[] = { m->set, m->title, m->card, m->pdf, m->window, m->note, m->source };
        sqlite3_bind_int64(b->add_member, 1, source);
        for (int i = 0; i < 7; i++)
            sqlite3_bind_text(b->add_member, 2 + i, texts[i], -1, SQLITE_STATIC);
        good = step(b->add_member);
    }
    for (size_t k = 0; k < s->n_cards && good; k++) {
        unsigned char *lines = NULL;
        size_t n;
        good = bragg_cards_pack_lines(s->card[k], &lines, &n, &b->own) == BRAGG_OK;
        good = good && store_card(b, source, s->card[k], lines, n, NULL, 0);
        free(lines);
    }
    return good;
}

/* The row of a source, new or changed, without cards. */
static bool store_source(builder *b, made *m, const char *reason)
{
    sqlite3_stmt *q = m->row >= 0 ? b->update_source : b->add_source;
    int k = 1;
    if (m->row >= 0) {
        sqlite3_bind_int64(b->drop, 1, m->row);
        sqlite3_bind_int64(b->drop_members, 1, m->row);
        if (!step(b->drop) || !step(b->drop_members))
            return false;
        sqlite3_bind_int64(q, k++, m->row);
    } else {
        sqlite3_bind_text(q, k++, m->source.path, -1, SQLITE_STATIC);
        sqlite3_bind_text(q, k++, m->source.member, -1, SQLITE_STATIC);
    }
    sqlite3_bind_text(q, k++, m->hash, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, k++, *m->source.member ? 0 : (long long)m->source.size);
    sqlite3_bind_int64(q, k++, *m->source.member ? 0 : m->source.changed_ns);
    if (reason)
        sqlite3_bind_text(q, k, reason, -1, SQLITE_STATIC);
    b->changed = true;
    return step(q);
}

static void look_up(builder *b, made *m)
{
    m->row = -1;
    bragg_hash_bytes(m->source.bytes, m->source.size, m->hash);
    sqlite3_bind_text(b->find, 1, m->source.path, -1, SQLITE_STATIC);
    sqlite3_bind_text(b->find, 2, m->source.member, -1, SQLITE_STATIC);
    if (sqlite3_step(b->find) == SQLITE_ROW) {
        m->row = sqlite3_column_int64(b->find, 0);
        m->same = !strcmp((const char *)sqlite3_column_text(b->find, 1), m->hash) && sqlite3_column_type(b->find, 2) == SQLITE_NULL;
    }
    sqlite3_reset(b->find);
}

static bool store(builder *b, made *m)
{
    if (m->same) { /* its date may have changed */
        sqlite3_bind_int64(b->keep, 1, m->row);
        sqlite3_bind_int64(b->keep, 2, *m->source.member ? 0 : (long long)m->source.size);
        sqlite3_bind_int64(b->keep, 3, *m->source.member ? 0 : m->source.changed_ns);
        b->report->kept++;
        return step(b->keep);
    }
    if (m->row < 0) /* two of one name may stand in one batch: the later counts */
        look_up(b, m);
    if (!store_source(b, m, m->status < 0 ? m->error.text : NULL))
        return false;
    if (m->status < 0) {
        b->report->skipped++;
        bool named = !strncmp(m->error.text, m->source.path, strlen(m->source.path));
        bragg_log(b->observer, BRAGG_LOG_WARNING, "left out: %s%s%s%s%s", named ? "" : m->source.path, !named && *m->source.member ? ":" : "",
                  named ? "" : m->source.member, named ? "" : ": ", m->error.text);
        return true;
    }
    b->report->replaced += m->row >= 0;
    long long source = m->row >= 0 ? m->row : sqlite3_last_insert_rowid(b->set->db);
    if (m->named)
        return store_named(b, source, m->named);
    return store_card(b, source, m->card, m->lines, m->lines_size, m->structure, m->structure_size);
}

static bragg_status flush(builder *b, bragg_error *err)
{
    bragg_status st = bragg_parallel_for(b->n, 1, make_range, b, err);
    bool good = st == BRAGG_OK && !sqlite3_exec(b->set->db, "BEGIN", NULL, NULL, NULL);
    for (size_t k = 0; k < b->n && good; k++)
        good = store(b, &b->batch[k]);
    if (good && b->changed) /* until the end says otherwise the search table is not whole */
        good = !sqlite3_exec(b->set->db, "DELETE FROM search", NULL, NULL, NULL);
    good = good && !sqlite3_exec(b->set->db, "COMMIT", NULL, NULL, NULL);
    if (st == BRAGG_OK && !good) {
        st = b->own.status < 0 ? bragg_fail(err, b->own.status, "%s", b->own.text) : bragg_cards_sql_fail(b->set, err);
        sqlite3_exec(b->set->db, "ROLLBACK", NULL, NULL, NULL);
    }
    for (size_t k = 0; k < b->n; k++)
        clear(&b->batch[k]);
    b->n = b->bytes = 0;
    if (st == BRAGG_OK && !bragg_progress(b->observer, b->seen, 0))
        b->stopped = true;
    return st == BRAGG_OK && b->stopped ? BRAGG_STOPPED : st;
}

/* ---------------------------------------------------------------- receive */

/* A plain file whose size and date are those of its row need not be read. */
static bool wanted(void *payload, const char *path, size_t size, long long changed_ns)
{
    builder *b = payload;
    if (b->stopped)
        return false;
    sqlite3_bind_text(b->known, 1, path, -1, SQLITE_STATIC);
    sqlite3_bind_int64(b->known, 2, (long long)size);
    sqlite3_bind_int64(b->known, 3, changed_ns);
    bool known = sqlite3_step(b->known) == SQLITE_ROW && sqlite3_column_int64(b->known, 0) > 0;
    b->report->kept += known && sqlite3_column_int64(b->known, 1) > 0;
    sqlite3_reset(b->known);
    return !known;
}

static bragg_status take(void *payload, cards_source *source, bragg_error *err)
{
    builder *b = payload;
    made *m = &b->batch[b->n++];
    *m = (made){ .source = *source };
    look_up(b, m);
    b->seen++;
    b->bytes += source->size;
    return b->n == BATCH || b->bytes > batch_bytes ? flush(b, err) : BRAGG_OK;
}

static bragg_status broken(void *payload, const char *path, const char *member, const char *reason, bragg_error *err)
{
    builder *b = payload;
    made *m = &b->batch[b->n++];
    *m = (made){ .source = { strdup(path), strdup(member), (unsigned char *)strdup(reason), strlen(reason), 0 }, .status = BRAGG_EDATA };
    if (!m->source.path || !m->source.member || !m->source.bytes)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for '%s'", path);
    look_up(b, m);
    m->same = false;
    bragg_fail(&m->error, BRAGG_EDATA, "%s%s%s: %s", path, *member ? ":" : "", member, reason);
    return b->n == BATCH ? flush(b, err) : BRAGG_OK;
}

bragg_status bragg_cards_build(bragg_cards *set, const char *const *sources, size_t n, const bragg_observer *observer, bragg_cards_report *report, bragg_error *err)
{
    builder b = { .set = set, .observer = observer, .report = report, .batch = calloc(BATCH, sizeof *b.batch), .own = BRAGG_ERROR_INIT };
    cards_receiver to = { wanted, take, broken, &b };
    *report = (bragg_cards_report){ 0 };
    xmlInitParser(); /* before threads use it */
    bragg_status st = !b.batch ? bragg_fail(err, BRAGG_ENOMEM, "no room to build a card set") : prepare(&b) ? BRAGG_OK : bragg_cards_sql_fail(set, err);
    for (size_t k = 0; k < n && st == BRAGG_OK; k++)
        st = bragg_cards_walk(sources[k], &to, err);
    if (st == BRAGG_OK && b.n)
        st = flush(&b, err);
    for (size_t k = 0; b.batch && k < b.n; k++)
        clear(&b.batch[k]);
    finalize(&b);
    free(b.batch);
    if (st == BRAGG_OK &&
        sqlite3_exec(set->db, "UPDATE card SET pdf = (SELECT pdf FROM member WHERE member.card = card.name AND member.pdf <> '')"
                     " WHERE pdf IS NULL AND name IN (SELECT card FROM member WHERE pdf <> '')", NULL, NULL, NULL))
        st = bragg_cards_sql_fail(set, err);
    sqlite3_stmt *q;
    long long chunks = 0;
    if (st >= 0 && sqlite3_prepare_v2(set->db, "SELECT count(*) FROM search", -1, &q, NULL) == SQLITE_OK) {
        chunks = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
        sqlite3_finalize(q);
    }
    if (st >= 0 && (b.changed || !chunks)) {
        bragg_status search = bragg_cards_search_rebuild(set, err);
        st = search < 0 ? search : st;
    }
    return st;
}
