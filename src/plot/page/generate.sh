#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# generate.sh page.js page.css: C arrays of the program and style of the report and, where
# $UPLOT names its package, of the library that draws the curves.
set -e
array() { # name, file
    echo "static const char page_$1[] = {"
    if [ -n "$2" ]; then od -An -v -tu1 "$2" | sed 's/ *\([0-9][0-9]*\)/\1,/g'; fi
    echo "0};"
}
array js "$1"
array css "$2"
array uplot_js "${UPLOT:+$UPLOT/dist/uPlot.iife.min.js}"
array uplot_css "${UPLOT:+$UPLOT/dist/uPlot.min.css}"
array uplot_license "${UPLOT:+$UPLOT/LICENSE}"
