/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser's codes for faults of a CIF (COMCIFS cif_api 0.4.2) in words. */
#include "config.h"
#include "cif_fault.h"

#include <bragg/bytes.h>
#include <bragg/error.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct { int code; const char *found, *expected; } words[] = {
    { CIF_DUP_BLOCKCODE, "a second data block of that name", "each data_NAME once" },
    { CIF_INVALID_BLOCKCODE, "data_ without a name, or with one that CIF does not allow", "data_NAME of printable characters" },
    { CIF_DUP_FRAMECODE, "a second save frame of that name", "each save_NAME once" },
    { CIF_INVALID_FRAMECODE, "save_ with a name that CIF does not allow", "save_NAME of printable characters" },
    { CIF_EMPTY_LOOP, "a loop_ without values", "rows of values behind its data names" },
    { CIF_NULL_LOOP, "loop_ without data names", "names such as _atom_site_label behind it" },
    { CIF_DUP_ITEMNAME, "a data name that stands in this block already", "each once" },
    { CIF_INVALID_ITEMNAME, "a data name that CIF does not allow", "_ and printable characters" },
    { CIF_PARTIAL_PACKET, "fewer values than data names in the last row of a loop_", "as many in each row, a text with blanks in quotes" },
    { CIF_DISALLOWED_VALUE, "a value that may not stand here", "a number or a text" },
    { CIF_INVALID_NUMBER, "a text for a number", "a number such as 4.1569(1)" },
    { CIF_INVALID_INDEX, "a key of a table that CIF does not allow", "printable characters in quotes" },
    { CIF_INVALID_BARE_VALUE, "a value that begins as only a quoted one may", "quotes about it" },
    { CIF_INVALID_CHAR, "bytes that are no character", "text in UTF-8" },
    { CIF_UNMAPPED_CHAR, "bytes that are no character", "text in UTF-8" },
    { CIF_DISALLOWED_CHAR, "a character that CIF does not allow", "printable text" },
    { CIF_MISSING_SPACE, "no blank behind a quote or bracket", "one between two values" },
    { CIF_MISSING_ENDQUOTE, "a quoted text that does not end on its line", "the closing quote" },
    { CIF_UNCLOSED_TEXT, "the end of the file within a text", "its closing line, which begins with ;" },
    { CIF_OVERLENGTH_LINE, "a line of more than 2048 characters", "shorter lines" },
    { CIF_DISALLOWED_INITIAL_CHAR, "a first character that CIF does not allow", "text" },
    { CIF_WRONG_ENCODING, "CIF 2.0 in another encoding", "UTF-8" },
    { CIF_NO_BLOCK_HEADER, "text before any data block", "a line data_NAME first" },
    { CIF_FRAME_NOT_ALLOWED, "a save frame where none may be", "save_ at the end of the one before" },
    { CIF_NO_FRAME_TERM, "a save frame that does not end", "save_ at its end" },
    { CIF_UNEXPECTED_TERM, "the end of a save frame that did not begin", "save_NAME before it" },
    { CIF_EOF_IN_FRAME, "the end of the file within a save frame", "save_ at its end" },
    { CIF_RESERVED_WORD, "a word that CIF keeps for itself", "quotes about it, if it is a value" },
    { CIF_MISSING_VALUE, "no value behind a data name", "one, or ? if it is not known, before what follows" },
    { CIF_UNEXPECTED_VALUE, "a value without a data name", "one before it, or quotes about a text with blanks" },
    { CIF_UNEXPECTED_DELIM, "a closing bracket without an opening one", "quotes about it, if it is a value" },
    { CIF_MISSING_DELIM, "a list or table that does not end", "its closing bracket" },
    { CIF_MISSING_KEY, "a value of a table without a key", "'key':value" },
    { CIF_UNQUOTED_KEY, "a key of a table without quotes", "'key':value" },
    { CIF_MISQUOTED_KEY, "a key of a table in the quotes of a text", "'key':value" },
    { CIF_NULL_KEY, "a value of a table without a key", "'key':value" },
};

/* Of single characters the parser (0.4.2) points at the one before the next, which at the
 * head of its buffer lies before the buffer. */
static bool is_of_characters(int code)
{
    return code == CIF_INVALID_CHAR || code == CIF_UNMAPPED_CHAR || code == CIF_DISALLOWED_CHAR || code == CIF_DISALLOWED_INITIAL_CHAR ||
           code == CIF_OVERLENGTH_LINE || code == CIF_WRONG_ENCODING;
}

int bragg_cif_fault_note(int code, size_t line, size_t column, const UChar *text, size_t length, void *data)
{
    enum { MOST = 4 }; /* bytes of a character */
    cif_fault *f = data;
    size_t used = 0;
    if (f->n++)
        return CIF_OK;
    f->code = code;
    f->line = line;
    f->column = column + 1; /* 0.4.2 counts from 0, whatever its header says */
    for (size_t k = is_of_characters(code) ? length : 0; text && k < length && text[k] && text[k] != '\n' && used + 2 * MOST < sizeof f->found; k++) {
        uint32_t c = text[k];
        if ((c & 0xfc00) == 0xd800 && k + 1 < length && (text[k + 1] & 0xfc00) == 0xdc00)
            c = 0x10000 + ((c & 0x3ff) << 10) + (text[++k] & 0x3ff);
        used += bragg_utf8_put(f->found + used, (c & 0xfffff800) == 0xd800 ? '?' : c);
    }
    f->found[used] = 0;
    bragg_printable(f->found);
    return CIF_OK;
}

const char *bragg_cif_fault_tell(const cif_fault *f, char text[CIF_FAULT_TEXT])
{
    size_t k = 0, n = sizeof words / sizeof *words;
    while (k < n && words[k].code != f->code)
        k++;
    bool read_ahead = f->code == CIF_INVALID_CHAR || f->code == CIF_UNMAPPED_CHAR; /* of the block of bytes, not of the fault */
    int used = read_ahead ? 0 : snprintf(text, CIF_FAULT_TEXT, "line %zu, column %zu: ", f->line, f->column);
    used += snprintf(text + used, (size_t)(CIF_FAULT_TEXT - used), "found %s", k < n ? words[k].found : "what the syntax of CIF does not allow");
    if (*f->found)
        used += snprintf(text + used, (size_t)(CIF_FAULT_TEXT - used), " ('%s')", f->found);
    if (k < n)
        snprintf(text + used, (size_t)(CIF_FAULT_TEXT - used), ", expected %s", words[k].expected);
    return text;
}

const char *bragg_cif_fault_cause(int code)
{
    return code == CIF_MEMORY_ERROR ? "no room for it" : code == CIF_ENVIRONMENT_ERROR ? "the SQLite library that its parser uses is too old or built without foreign keys"
           : code == CIF_ERROR ? "it could not be read, or its parser found no room for its temporary files" : "its parser failed";
}
