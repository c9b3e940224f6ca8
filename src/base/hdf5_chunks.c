/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a chunk hold what its data set says?  HDF5 1.10 allocates what comes out of the filters
 * and copies from there what the shape of the chunk says. */
#include "config.h"

#ifdef HAVE_HDF5

#include "hdf5_safely.h"

#include <bragg/bytes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST_FILTERS = 32, LZ4 = 32004, BITSHUFFLE = 32008, BLOSC = 32001, BITSHUFFLE_LZ4 = 2, BITSHUFFLE_ZSTD = 3, MOST_CHUNKS = 10000000 };

typedef struct chunks {
    hid_t set;
    int rank;
    hsize_t size[H5S_MAX_RANK]; /* of a chunk, in items */
    uint64_t bytes, file;       /* of a chunk as it is used, and of the file */
    int n_filters;
    bool checksum;              /* by Fletcher, four bytes behind all */
    H5Z_filter_t packer;        /* the only filter that changes lengths; 0: none, -1: several, or one whose ways are not known */
    bool headed;                /* bitshuffle also goes without compression, and then without a header */
} chunks;

/* Which filter decides how much comes out. */
static void look_at_filters(chunks *c, hid_t made)
{
    c->n_filters = H5Pget_nfilters(made);
    for (int k = 0; k < c->n_filters && k < MOST_FILTERS; k++) {
        unsigned flags, config, value[16] = { 0 };
        size_t n = 16;
        H5Z_filter_t id = H5Pget_filter2(made, (unsigned)k, &flags, &n, value, 0, NULL, &config);
        if (id == H5Z_FILTER_SHUFFLE)
            continue;
        if (id == H5Z_FILTER_FLETCHER32 && k == c->n_filters - 1)
            c->checksum = true;
        else
            c->packer = c->packer ? -1 : id;
        c->headed = id != BITSHUFFLE || (n > 4 && (value[4] == BITSHUFFLE_LZ4 || value[4] == BITSHUFFLE_ZSTD));
    }
}

static bool look_at_set(hid_t set, chunks *c)
{
    hid_t made = H5Dget_create_plist(set), type = H5Dget_type(set), file = H5Iget_file_id(set);
    hsize_t all = 0;
    *c = (chunks){ .set = set };
    c->rank = H5Pget_chunk(made, H5S_MAX_RANK, c->size);
    bool good = c->rank > 0 && type >= 0 && file >= 0 && H5Fget_filesize(file, &all) >= 0;
    c->file = all;
    c->bytes = good ? H5Tget_size(type) : 0;
    for (int k = 0; good && k < c->rank; k++)
        good = !__builtin_mul_overflow(c->bytes, c->size[k], &c->bytes) && c->size[k] > 0;
    look_at_filters(c, made);
    H5Pclose(made);
    if (type >= 0)
        H5Tclose(type);
    if (file >= 0)
        H5Fclose(file);
    return good;
}

/* LZ4 and bitshuffle: the whole length (8 bytes) and that of a block (4), big endian, and
 * blocks with the length of each before it.  Source: HDF5_LZ4.pdf of the HDF Group's filter
 * registry; K. Masui, bitshuffle, src/bshuf_h5filter.c. */
static bool blocks_fit(const unsigned char *at, uint64_t n, const chunks *c)
{
    if (n < 12 || ((uint64_t)bragg_be32(at) << 32 | bragg_be32(at + 4)) != c->bytes)
        return false;
    uint64_t block = bragg_be32(at + 8), left = c->bytes, used = 12;
    while (left > 0 && block > 0) {
        if (c->packer == BITSHUFFLE && left < block) /* the last is short, and a rest goes as it is */
            return true;
        uint64_t length = used + 4 <= n ? bragg_be32(at + used) : n;
        if (length > n - used - 4 || used + 4 > n)
            return false;
        used += 4 + length;
        left -= left < block ? left : block;
    }
    return block > 0;
}

/* All of a deflated chunk comes out, and no more. */
static bool inflates(const unsigned char *at, uint64_t n, uint64_t bytes)
{
    unsigned char room[1 << 14];
    z_stream z = { .next_in = (unsigned char *)at, .avail_in = (unsigned)n };
    uint64_t out = 0;
    int rc = n >> 31 || inflateInit(&z) != Z_OK ? Z_DATA_ERROR : Z_OK;
    while (rc == Z_OK && out <= bytes) {
        z.next_out = room;
        z.avail_out = sizeof room;
        rc = inflate(&z, Z_NO_FLUSH);
        out += sizeof room - z.avail_out;
    }
    inflateEnd(&z);
    return rc == Z_STREAM_END && out == bytes;
}

/* What is stored of a chunk to which all filters were applied. */
static bool unpacks(const unsigned char *at, uint64_t n, const chunks *c)
{
    if (c->packer == 0)
        return n == c->bytes;
    if ((c->packer == LZ4 || c->packer == BITSHUFFLE) && c->headed)
        return blocks_fit(at, n, c);
    if (c->packer == BITSHUFFLE)
        return n == c->bytes;
    if (c->packer == BLOSC) /* version, flags, size of an item, … and then the whole length */
        return n >= 16 && bragg_le32(at + 4) == c->bytes;
    /* to inflate takes as long as to read: the stream's own sum finds damage here and there, the child what is wrong throughout */
    if (c->packer == H5Z_FILTER_DEFLATE && bragg_hdf5_rehearses())
        return inflates(at, n, c->bytes);
    return true;
}

/* H5Dget_chunk_info_by_coord walks over all chunks, 4 ms of a hundred thousand; this call looks
 * it up, and says of one that is not there both 0 and failure. */
hsize_t bragg_hdf5_chunk_bytes(hid_t set, const hsize_t *corner)
{
    hsize_t stored = HDF5_LOST;
    H5Dget_chunk_storage_size(set, corner, &stored);
    return stored;
}

static bool chunk_sound(const chunks *c, const hsize_t *corner)
{
    hsize_t stored = bragg_hdf5_chunk_bytes(c->set, corner);
    uint32_t skipped = 0;
    if (!stored) /* never written: HDF5 fills it in */
        return true;
    if (stored == HDF5_LOST)
        return false;
    if (!c->n_filters) /* HDF5 gives the size of the layout and reads so much, to the end of the file */
        return stored == c->bytes;
    uint64_t checksum = c->checksum ? 4 : 0;
    unsigned char *raw = stored <= c->file ? malloc(stored + 1) : NULL;
    bool good = raw && H5Dread_chunk(c->set, H5P_DEFAULT, corner, &skipped, raw) >= 0 && stored > checksum;
    if (good)
        good = skipped ? stored == c->bytes || stored == c->bytes + checksum : unpacks(raw, stored - checksum, c);
    free(raw);
    return good;
}

/* The chunks from that of `low` to that of `high`, the last axis first. */
static bool chunks_sound(const chunks *c, const hsize_t *low, const hsize_t *high)
{
    hsize_t first[H5S_MAX_RANK], at[H5S_MAX_RANK];
    double n = 1;
    int k = 0;
    for (int i = 0; i < c->rank; i++) {
        first[i] = at[i] = low[i] / c->size[i] * c->size[i];
        n *= (double)(high[i] / c->size[i] - low[i] / c->size[i]) + 1;
    }
    if (n > MOST_CHUNKS)
        return false;
    while (k >= 0) {
        if (!chunk_sound(c, at))
            return false;
        for (k = c->rank - 1; k >= 0 && high[k] - at[k] < c->size[k]; k--)
            at[k] = first[k];
        if (k >= 0)
            at[k] += c->size[k];
    }
    return true;
}

static bool selection_sound(hid_t set, hid_t space)
{
    hsize_t low[H5S_MAX_RANK], high[H5S_MAX_RANK];
    hid_t made = H5Dget_create_plist(set), whole = space == H5S_ALL ? H5Dget_space(set) : -1, of = whole >= 0 ? whole : space;
    bool chunked = made >= 0 && H5Pget_layout(made) == H5D_CHUNKED, good = true;
    chunks c;
    if (chunked && H5Sget_select_npoints(of) > 0)
        good = look_at_set(set, &c) && H5Sget_simple_extent_ndims(of) == c.rank && H5Sget_select_bounds(of, low, high) >= 0 && chunks_sound(&c, low, high);
    if (whole >= 0)
        H5Sclose(whole);
    if (made >= 0)
        H5Pclose(made);
    return good;
}

herr_t bragg_hdf5_read(hid_t set, hid_t type, hid_t memory, hid_t space, void *to)
{
    return selection_sound(set, space) ? H5Dread(set, type, memory, space, H5P_DEFAULT, to) : -1;
}

#endif
