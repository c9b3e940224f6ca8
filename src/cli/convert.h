/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLI_CONVERT_H
#define CLI_CONVERT_H

#include "cli.h"

/** What the options of bragg convert say. */
typedef struct convert_wish {
    const char *unit, *flip, *raw, *type;
    double wavelength_ang;
    long long frame;         /**< -1: all */
    bool force;
} convert_wish;

/** All frames of n files into one. */
bragg_status convert_frames(const convert_wish *wish, char **paths, size_t n, const char *out, bragg_error *err);

#endif
