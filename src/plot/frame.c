/* SPDX-License-Identifier: GPL-3.0-or-later */
/* frame */
#include "config.h"
#include "figure.h"
