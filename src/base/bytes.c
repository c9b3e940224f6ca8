/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes of a file, all of those asked for. */
#include "config.h"
#include <bragg/bytes.h>

#include <errno.h>
#include <unistd.h>

bool bragg_bytes_read(int fd, void *to, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t some = pread(fd, (char *)to + done, n - done, (off_t)at + (off_t)done);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0) {
            errno = some ? errno : 0;
            return false;
        }
        done += (size_t)some;
    }
    return true;
}

bool bragg_bytes_write(int fd, const void *from, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t some = pwrite(fd, (const char *)from + done, n - done, (off_t)at + (off_t)done);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return false;
        done += (size_t)some;
    }
    return true;
}
