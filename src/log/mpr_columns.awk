# SPDX-License-Identifier: GPL-3.0-or-later
# mpr_columns.tsv to the rows of a C table: { id, kind, mask, bytes, name, unit }
BEGIN { FS = "\t"; print "/* Generated from mpr_columns.tsv. */" }
/^#/ || NF < 3 { next }
{
    kind = substr($2, 1, 1); rest = substr($2, 2)
    gsub(/\\/, "\\\\", $3); gsub(/"/, "\\\"", $3)
    if (kind == "b") printf "{ %d, 'b', 0x%s, 1, \"%s\", \"%s\" },\n", $1, rest, $3, $4
    else printf "{ %d, '%s', 0, %d, \"%s\", \"%s\" },\n", $1, kind, rest, $3, $4
}
