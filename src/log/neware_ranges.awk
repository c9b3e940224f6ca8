# SPDX-License-Identifier: GPL-3.0-or-later
# neware_ranges.tsv to the rows of a C table: { code, factor }
BEGIN { FS = "\t"; print "/* Generated from neware_ranges.tsv. */" }
/^#/ || NF < 2 { next }
{ printf "{ %d, %s },\n", $1, $2 }
