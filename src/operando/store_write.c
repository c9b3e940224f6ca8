/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store that is written: begun or taken up, a frame at a time, moved where there is more room. */
#include "config.h"

#ifdef HAVE_HDF5

#include "store_parts.h"

#include <bragg/bytes.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static bragg_status open_parts(seq_store *s, bragg_error *err)
{
    bragg_status st = bragg_store_find_parts(s, s->path, err);
    if (st < 0)
        return st;
    s->fd = open(s->path, O_RDWR | O_CLOEXEC);
    return s->fd >= 0 ? BRAGG_OK : bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", s->path, strerror(errno));
}

/* The lock is a file of its own: one on the store would keep readers out, and the
 * store's place may be taken by a larger one.  The system drops it with the process. */
static bragg_status take_lock(seq_store *s, bragg_error *err)
{
    for (int turn = 0; turn < 10; turn++) {
        struct stat mine, there;
        s->lock = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (s->lock < 0)
            return bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", s->lock_path, strerror(errno));
        if (flock(s->lock, LOCK_EX | LOCK_NB)) {
            int cause = errno;
            close(s->lock); /* and leave it there: it is another's */
            s->lock = -1;
            return cause == EWOULDBLOCK ? bragg_fail(err, BRAGG_EEXIST, "'%s': another process is writing to it", s->path)
                                        : bragg_fail(err, bragg_status_of_errno(cause), "'%s': cannot be locked: %s", s->lock_path, strerror(cause));
        }
        if (!fstat(s->lock, &mine) && !stat(s->lock_path, &there) && mine.st_ino == there.st_ino)
            return BRAGG_OK;
        close(s->lock); /* whoever held it has just taken it away */
        s->lock = -1;
    }
    return bragg_fail(err, BRAGG_EIO, "'%s': cannot be locked", s->lock_path);
}

/* The old run must have been of the same experiment. */
static bragg_status check_old(const seq_store *s, bragg_error *err)
{
    hid_t file = H5Fopen(s->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    bragg_status st = bragg_store_check_format(file, s->path, err);
    if (st < 0) {
        if (file >= 0)
            H5Fclose(file);
        return st;
    }
    char *text = bragg_store_get_text(file, bragg_store_text[2]);
    size_t columns = bragg_store_extent(file, bragg_store_part[TABLE], 1), points = bragg_store_extent(file, bragg_store_part[OBSERVED], 1), phases = bragg_store_extent(file, "/series/phases", 0);
    H5Fclose(file);
    bool same = text && !strcmp(text, s->texts[2] ? s->texts[2] : "");
    free(text);
    if (!same)
        return bragg_fail(err, BRAGG_EDATA, "'%s': was made with another experiment file; --force begins anew", s->path);
    if (columns != s->columns || points != s->points || phases != s->n_phases)
        return bragg_fail(err, BRAGG_EDATA, "'%s': expected %zu columns and %zu points, found %zu and %zu; --force begins anew", s->path, s->columns, s->points, columns, points);
    return BRAGG_OK;
}

void bragg_store_free(seq_store *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->lock >= 0) {
        unlink(s->lock_path);
        close(s->lock);
    }
    for (int k = 0; k < 4; k++)
        free(s->texts[k]);
    free(s->path);
    free(s->lock_path);
    free(s->x_rad);
    free(s);
}

/* Written beside the name and renamed: the name is always that of a whole file. */
static bragg_status begin(seq_store *s, const bragg_series *series, bragg_error *err)
{
    char *new = bragg_store_beside(s->path, ".new");
    bragg_status st = new ? bragg_store_make_file(s, series, new, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK && rename(new, s->path))
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", s->path, strerror(errno));
    if (st < 0 && new)
        unlink(new);
    free(new);
    return st;
}

static bragg_status copy_text(char **to, const char *from, bragg_error *err)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a text");
}

static bragg_status fill(seq_store *s, const seq_store_start *o, bragg_error *err)
{
    const char *const texts[3] = { o->title, o->provenance, o->experiment_text };
    *s = (seq_store){ .fd = -1, .lock = -1, .room = o->frames, .points = o->points, .n_params = o->shape->n_params, .n_phases = o->shape->n_phases,
                      .columns = o->shape->columns, .name = o->shape->name, .unit = o->shape->unit, .phase = o->shape->phase, .wavelength_ang = o->wavelength_ang };
    bragg_store_size_parts(s);
    s->path = strdup(o->path);
    s->lock_path = bragg_store_beside(o->path, ".lock");
    s->x_rad = malloc((o->points + 1) * sizeof *s->x_rad);
    bragg_status st = s->path && s->lock_path && s->x_rad ? BRAGG_OK : bragg_fail(err, BRAGG_ENOMEM, "no room for a store");
    for (int k = 0; k < 3 && st == BRAGG_OK; k++)
        st = copy_text(&s->texts[k], texts[k], err);
    if (st == BRAGG_OK)
        memcpy(s->x_rad, o->x_rad, o->points * sizeof *s->x_rad);
    return st;
}

bragg_status bragg_store_begin(const seq_store_start *o, seq_store **out, bragg_error *err)
{
    seq_store *s = malloc(sizeof *s);
    *out = NULL;
    if (!s)
        return bragg_fail(err, BRAGG_ENOMEM, "no room for a store");
    bragg_status st = fill(s, o, err);
    bool there = st == BRAGG_OK && access(o->path, F_OK) == 0;
    if (st == BRAGG_OK)
        st = take_lock(s, err);
    if (st == BRAGG_OK && there && !o->resume && !o->force)
        st = bragg_fail(err, BRAGG_EEXIST, "'%s': exists already; --resume goes on with it, --force overwrites it", o->path);
    if (st == BRAGG_OK && there && o->resume)
        st = check_old(s, err);
    if (st == BRAGG_OK && !(there && o->resume))
        st = begin(s, NULL, err);
    if (st == BRAGG_OK)
        st = open_parts(s, err);
    if (st == BRAGG_OK && s->room < o->frames)
        st = bragg_store_make_room(s, o->frames, err);
    if (st < 0)
        bragg_store_free(s);
    else
        *out = s;
    return st;
}

bool bragg_store_read_part(const seq_store *s, int part, size_t k, void *to)
{
    return bragg_bytes_read(s->fd, to, s->size[part], place(s, part, k));
}

static uint64_t check_of(const double *row, size_t columns, const char *file, const char *message, const seq_curves *c, size_t points)
{
    XXH64_hash_t h = XXH3_64bits(row, columns * sizeof *row);
    h = XXH3_64bits_withSeed(file, TEXT, h);
    h = XXH3_64bits_withSeed(message, TEXT, h);
    h = XXH3_64bits_withSeed(c->observed, points * sizeof *c->observed, h);
    h = XXH3_64bits_withSeed(c->calculated, points * sizeof *c->calculated, h);
    return XXH3_64bits_withSeed(c->sigma, points * sizeof *c->sigma, h);
}

bool bragg_store_row(const seq_store *s, size_t k, double *row, char message[TEXT], char file[TEXT])
{
    uint8_t status = 0;
    uint64_t check = 0;
    float *room = malloc((3 * s->points + 1) * sizeof *room);
    seq_curves c = { room, room ? room + s->points : NULL, room ? room + 2 * s->points : NULL };
    bool good = room && k < s->room && bragg_store_read_part(s, STATUS, k, &status) && status && bragg_store_read_part(s, TABLE, k, row) && bragg_store_read_part(s, MESSAGES, k, message) &&
                bragg_store_read_part(s, FILES, k, file) && bragg_store_read_part(s, OBSERVED, k, c.observed) && bragg_store_read_part(s, CALCULATED, k, c.calculated) && bragg_store_read_part(s, SIGMA, k, c.sigma) && bragg_store_read_part(s, CHECK, k, &check) &&
                check == check_of(row, s->columns, file, message, &c, s->points) && status <= BRAGG_FRAME_SKIPPED && row[ROW_STATUS] == status;
    if (good)
        message[TEXT - 1] = file[TEXT - 1] = 0;
    free(room);
    return good;
}

bragg_status bragg_store_numbers(const seq_store *s, size_t k, double *row, bragg_error *err)
{
    errno = 0;
    return bragg_store_read_part(s, TABLE, k, row) ? BRAGG_OK : bragg_fail(err, bragg_status_of_errno(errno), "'%s': frame %zu: %s", s->path, k, strerror(errno ? errno : EIO));
}

seq_place bragg_store_place(const seq_store *s) { return (seq_place){ NULL, s->fd, (int64_t)s->offset[TABLE] }; }

/* Log and frames are joined at the end of a run, and with --follow as the log grows; before that
 * there is a hole. */
bool bragg_store_read_joined(const seq_store *s, size_t k, bragg_frame_log *log)
{
    static const bragg_frame_log hole;
    bool told = bragg_store_read_part(s, LOG, k, log);
    if (!told || !memcmp(log, &hole, sizeof hole))
        *log = (bragg_frame_log){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
    return told;
}

static bool write_part(const seq_store *s, int part, size_t k, const void *from)
{
    return bragg_bytes_write(s->fd, from, s->size[part], place(s, part, k));
}

bragg_status bragg_store_put_log(const seq_store *s, size_t k, const bragg_frame_log *log, bragg_error *err)
{
    bragg_frame_log known;
    bragg_store_read_joined(s, k, &known);
    return !memcmp(&known, log, sizeof known) || write_part(s, LOG, k, log)
               ? BRAGG_OK : bragg_fail(err, bragg_status_of_errno(errno), "'%s': the log of frame %zu cannot be written: %s", s->path, k, strerror(errno));
}

bragg_status bragg_store_put(seq_store *s, size_t k, const char *file, const double *row, const char *message, const seq_curves *c, bragg_error *err)
{
    char name[TEXT] = "", text[TEXT] = "";
    uint8_t status = (uint8_t)row[ROW_STATUS], none = 0;
    size_t n = strlen(file);
    snprintf(name, sizeof name, "%s", n < TEXT ? file : file + (n - TEXT + 1));
    snprintf(text, sizeof text, "%s", message);
    memset(name + strlen(name), 0, TEXT - strlen(name));
    memset(text + strlen(text), 0, TEXT - strlen(text));
    uint64_t check = check_of(row, s->columns, name, text, c, s->points);
    bool good = write_part(s, STATUS, k, &none) && write_part(s, TABLE, k, row) && write_part(s, FILES, k, name) && write_part(s, MESSAGES, k, text) &&
                write_part(s, OBSERVED, k, c->observed) && write_part(s, CALCULATED, k, c->calculated) && write_part(s, SIGMA, k, c->sigma) && write_part(s, CHECK, k, &check) && write_part(s, STATUS, k, &status);
    return good ? BRAGG_OK
                : bragg_fail(err, bragg_status_of_errno(errno), "'%s': frame %zu cannot be written: %s; --resume goes on when there is room", s->path, k, strerror(errno));
}

static bool copy_parts(const seq_store *from, const seq_store *to, size_t n)
{
    size_t most = 0;
    for (int k = 0; k < PARTS; k++)
        most = from->size[k] > most ? from->size[k] : most;
    char *row = malloc(most + 1);
    bool good = row != NULL;
    for (size_t i = 0; i < n && good; i++) {
        uint8_t status = 0;
        good = bragg_store_read_part(from, STATUS, i, &status);
        if (good && !status)
            continue; /* nothing there yet: a hole stays a hole */
        for (int k = 0; k < PARTS && good; k++)
            good = bragg_store_read_part(from, k, i, row) && write_part(to, k, i, row);
    }
    free(row);
    return good;
}

static bool put_joined(const seq_store *s, const bragg_series *series)
{
    bool good = true;
    for (size_t i = 0; good && series && i < series->n && i < s->room; i++)
        good = write_part(s, LOG, i, &series->frame[i].log);
    return good;
}

/* All rows into a file with room for `frames`, which takes the old one's place. */
static bragg_status move_to(seq_store *s, size_t frames, const bragg_series *series, bragg_error *err)
{
    char *new = bragg_store_beside(s->path, ".new");
    seq_store other = *s;
    other.room = frames;
    other.fd = -1;
    bragg_status st = new ? bragg_store_make_file(&other, series, new, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for a path");
    if (st == BRAGG_OK)
        st = bragg_store_find_parts(&other, new, err);
    if (st == BRAGG_OK && (other.fd = open(new, O_RDWR | O_CLOEXEC)) < 0)
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", new, strerror(errno));
    size_t n = s->room < frames ? s->room : frames;
    if (st == BRAGG_OK && (!copy_parts(s, &other, n) || !put_joined(&other, series) || fsync(other.fd) || rename(new, s->path)))
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': cannot be written: %s", new, strerror(errno));
    if (st < 0) {
        if (other.fd >= 0)
            close(other.fd);
        if (new)
            unlink(new);
    } else {
        close(s->fd);
        *s = other;
    }
    free(new);
    return st;
}

bragg_status bragg_store_make_room(seq_store *s, size_t frames, bragg_error *err)
{
    if (frames <= s->room)
        return BRAGG_OK;
    return move_to(s, frames > 2 * s->room ? frames : 2 * s->room, NULL, err);
}

bragg_status bragg_store_end(seq_store *s, bragg_series *series, bragg_error *err)
{
    bragg_status st = BRAGG_OK;
    if (series) {
        free(s->texts[3]);
        s->texts[3] = bragg_store_notes(series);
        st = s->texts[3] ? move_to(s, series->n ? series->n : 1, series, err) : bragg_fail(err, BRAGG_ENOMEM, "no room for notes");
        if (st == BRAGG_OK && series->rows)
            st = bragg_series_move_rows(series, bragg_store_place(s), err);
    } else if (fsync(s->fd)) {
        st = bragg_fail(err, bragg_status_of_errno(errno), "'%s': %s", s->path, strerror(errno));
    }
    bragg_store_free(s);
    return st;
}

#endif
