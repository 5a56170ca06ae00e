# power_record.py - an nbdkit plugin: a disk in memory that keeps a log of all
# that is asked of it, in order, and answers a request only when it is in the
# log. Requests come one at a time (nbdkit's default for Python).
#
#   nbdkit ... python power_record.py log=FILE size=BYTES
#
# The log is a sequence of
#
#   W <offset> <length>\n<bytes>   written
#   Z <offset> <length>\n          zeroed
#   F\n                            flushed: what was written before is durable
#   M <length>\n<bytes>            a mark
#
# A mark is a write behind the disk's `size` bytes, where the disk goes on for
# one block more that is no part of any file system. So marks and requests of
# the file system come the same way, and their order is theirs alone.

import builtins

import nbdkit

API_VERSION = 2
MARKS = 65536

log = None
size = 0
disk = None


def config(key, value):
    global log, size
    if key == "log":
        log = builtins.open(value, "wb", buffering=0)
    elif key == "size":
        size = int(value)
    else:
        raise RuntimeError("no such parameter: " + key)


def config_complete():
    global disk
    disk = bytearray(size + MARKS)


def open(readonly):
    return True


def get_size(handle):
    return len(disk)


def pread(handle, buf, offset, flags):
    buf[:] = disk[offset : offset + len(buf)]


def pwrite(handle, buf, offset, flags):
    disk[offset : offset + len(buf)] = buf
    if offset < size:
        log.write(b"W %d %d\n" % (offset, len(buf)) + bytes(buf))
    else:
        log.write(b"M %d\n" % len(buf) + bytes(buf))


def zero(handle, count, offset, flags):
    disk[offset : offset + count] = bytes(count)
    log.write(b"Z %d %d\n" % (offset, count))


def flush(handle, flags):
    log.write(b"F\n")
