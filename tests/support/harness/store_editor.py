"""Edits the collector's embedded store as who knows its format could: values keep a right checksum.

The format is that of collector/store/keys.h; the store must be closed. Needs python3-lmdb.
"""
import enum
import os
import struct

import lmdb


class Table(enum.IntEnum):
    LEAF = 0x20
    USAGE = 0x35
    DOCUMENT = 0x40
    PERIOD = 0x44


def _crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
        table.append(crc)
    return table


CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def sealed(key, value):
    """value || crc32c(key || value), big-endian (common/crc32c.h)"""
    return value + struct.pack('>I', crc32c(key + value))


class StoreEditor:
    def __init__(self, folder):
        self._folder = folder

    def __enter__(self):
        for root, _, names in os.walk(self._folder):
            if 'data.mdb' in names:
                self._env = lmdb.open(root, map_size=1 << 32)
                return self
        raise FileNotFoundError('no data.mdb below ' + self._folder)

    def __exit__(self, *_):
        self._env.close()

    def _rows(self, transaction, table):
        cursor = transaction.cursor()
        prefix = bytes([table])
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            yield cursor.key(), cursor.value()
            found = cursor.next()

    def edit(self, table, change, containing=b'', skip=0):
        """Changes the first row after `skip` that contains this and that `change` changes; whether there was one."""
        with self._env.begin(write=True) as transaction:
            for key, value in list(self._rows(transaction, table)):
                body = value[:-4]
                assert sealed(key, body) == value, 'the format of the store is another'
                if containing not in body:
                    continue
                if skip > 0:
                    skip -= 1
                    continue
                changed = change(body)
                if changed == body:
                    continue
                transaction.put(key, sealed(key, changed))
                return True
        return False

    def delete(self, table, skip=0):
        """Takes the row after `skip` rows out; whether there was one."""
        with self._env.begin(write=True) as transaction:
            for number, (key, _) in enumerate(list(self._rows(transaction, table))):
                if number == skip:
                    return transaction.delete(key)
        return False
