/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BRAGG_ERROR_H
#define BRAGG_ERROR_H

/** Status and error chain.  Negative is failure, zero success, positive
 *  information.  The message lives on the caller's stack and owns nothing:
 *  subject, found, expected; no capital, full stop or newline. */
typedef enum bragg_status {
    BRAGG_CONVERGED = 2, /**< an iteration has reached its end */
    BRAGG_STOPPED = 1,   /**< the observer asked to stop; results so far are valid */
    BRAGG_OK = 0,
    BRAGG_EINVAL = -1,   /**< an argument or option makes no sense (exit 2) */
    BRAGG_ENOMEM = -2,   /**< no memory (exit 1) */
    BRAGG_EIO = -3,      /**< the operating system refused (exit 3) */
    BRAGG_EDATA = -4,    /**< the input is not what it should be (exit 3) */
    BRAGG_EEXIST = -5,   /**< the output exists already (exit 2) */
    BRAGG_ENOSUPPORT = -6, /**< this build or version cannot read it (exit 3) */
    BRAGG_ENOCONV = -7,  /**< did not converge (exit 4) */
    BRAGG_EINTERNAL = -8 /**< a bug here (exit 1) */
} bragg_status;

enum { BRAGG_ERROR_TEXT = 1024 };

typedef struct bragg_error {
    bragg_status status;
    char text[BRAGG_ERROR_TEXT];
} bragg_error;

#define BRAGG_ERROR_INIT { BRAGG_OK, "" }

#if defined(__GNUC__)
#define BRAGG_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BRAGG_PRINTF(f, a)
#endif

/** Record the cause of a failure; the first one wins.  err may be NULL.
 *  Returns status, so that `return bragg_fail(…)` reads well. */
bragg_status bragg_fail(bragg_error *err, bragg_status status, const char *format, ...)
    BRAGG_PRINTF(3, 4);

/** Put "context: " in front of the message on the way up; returns status. */
bragg_status bragg_context(bragg_error *err, bragg_status status, const char *format, ...)
    BRAGG_PRINTF(3, 4);

/** Control characters, as a file's name may have them, become '?': a message is one line and
 *  tells a terminal nothing.  Returns text. */
char *bragg_printable(char *text);

/** Of a call of the system that has failed with this errno: ENOMEM for want of memory, else EIO. */
bragg_status bragg_status_of_errno(int cause);

/** Name of a status for logs: "EDATA". */
const char *bragg_status_name(bragg_status status);

/** Exit status of the command: 0 ok, 1 internal, 2 usage, 3 data, 4 not converged. */
int bragg_status_exit(bragg_status status);

#endif
