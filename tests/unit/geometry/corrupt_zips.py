"""ZIP packages whose directory lies: each function changes an honest one."""

import struct


def encrypt(data: bytearray) -> None:
    data[data.index(b"PK\x01\x02") + 8] |= 1


def lie_about_the_size(data: bytearray) -> None:
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 10)


def name_a_part_in_broken_unicode(data: bytearray) -> None:
    at = data.rindex(b"PK\x01\x02")
    data[at + 9] |= 0x08  # the names are UTF-8
    data[at + 46] = 0xFF


def lie_about_the_directory(data: bytearray) -> None:
    at = data.rindex(b"PK\x05\x06")
    struct.pack_into("<L", data, at + 16, 0)


def promise_four_billion_entries(data: bytearray) -> None:
    """A ZIP64 record whose directory is larger than the file."""
    end = data.rindex(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**32, 2**32, 2**40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    data[end:end] = record + locator


def lose_the_zip64_record(data: bytearray) -> None:
    end = data.rindex(b"PK\x05\x06")
    data[end:end] = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)


def overlap(data: bytearray) -> None:
    """Every entry of the directory points to the same bytes, which count once on disk and often when unpacked."""
    first = data.index(b"PK\x01\x02")
    at = data.index(b"PK\x01\x02", first + 4)
    while at >= 0:
        struct.pack_into("<L", data, at + 42, 0)
        at = data.find(b"PK\x01\x02", at + 4)


def point_outside(data: bytearray, offset: int) -> None:
    """The last entry of the directory begins, by its ZIP64 field, at `offset`."""
    extra = struct.pack("<2HQ", 1, 8, offset)
    at = data.rindex(b"PK\x01\x02")
    name, extra_before = struct.unpack_from("<2H", data, at + 28)
    struct.pack_into("<H", data, at + 30, extra_before + len(extra))
    struct.pack_into("<L", data, at + 42, 0xFFFFFFFF)
    data[at + 46 + name : at + 46 + name] = extra
    end = data.rindex(b"PK\x05\x06")
    (length,) = struct.unpack_from("<L", data, end + 12)
    struct.pack_into("<L", data, end + 12, length + len(extra))
