/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything of libbragg.  What is not under <bragg/> is not API. */
#ifndef BRAGG_H
#define BRAGG_H

#include <bragg/analysis.h>
#include <bragg/arena.h>
#include <bragg/array.h>
#include <bragg/bytes.h>
#include <bragg/calibrate.h>
#include <bragg/cards.h>
#include <bragg/crystal.h>
#include <bragg/csv.h>
#include <bragg/datetime.h>
#include <bragg/detector.h>
#include <bragg/error.h>
#include <bragg/experiment.h>
#include <bragg/frame.h>
#include <bragg/hash.h>
#include <bragg/hdf5.h>
#include <bragg/index.h>
#include <bragg/instrument.h>
#include <bragg/integrate.h>
#include <bragg/json.h>
#include <bragg/lsq.h>
#include <bragg/number.h>
#include <bragg/log.h>
#include <bragg/numeric.h>
#include <bragg/nxazint.h>
#include <bragg/observer.h>
#include <bragg/operando.h>
#include <bragg/output.h>
#include <bragg/param.h>
#include <bragg/path.h>
#include <bragg/pdf.h>
#include <bragg/pattern.h>
#include <bragg/plot.h>
#include <bragg/profile.h>
#include <bragg/refine.h>
#include <bragg/simulate.h>
#include <bragg/thread.h>
#include <bragg/units.h>
#include <bragg/yaml.h>
#include <bragg/zip.h>

#endif
