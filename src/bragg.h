/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything of libbragg.  What is not under <bragg/> is not API. */
#ifndef BRAGG_H
#define BRAGG_H

#include <bragg/arena.h>
#include <bragg/error.h>
#include <bragg/hash.h>
#include <bragg/number.h>
#include <bragg/log.h>
#include <bragg/observer.h>
#include <bragg/output.h>
#include <bragg/param.h>
#include <bragg/pattern.h>
#include <bragg/profile.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <bragg/yaml.h>

#endif
