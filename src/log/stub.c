/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readers to come. */
#include "config.h"
#include "private.h"
bragg_status bragg_log_nda(const log_source *s, bragg_log_table **o, bragg_error *err) { (void)s; (void)o; return bragg_fail(err, BRAGG_ENOSUPPORT, "not yet"); }
bragg_status bragg_log_ndax(const log_source *s, bragg_log_table **o, bragg_error *err) { (void)s; (void)o; return bragg_fail(err, BRAGG_ENOSUPPORT, "not yet"); }
bragg_status bragg_log_read_metadata(const char *folder, const char *k, const bragg_log_options *o, bragg_log_table **t, bragg_error *err) { (void)folder; (void)k; (void)o; *t = NULL; return bragg_fail(err, BRAGG_ENOSUPPORT, "not yet"); }
