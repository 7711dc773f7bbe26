"""Sealed batches: signature, hashes, sections by subject and withheld ones. PROTOCOL.md, sections 3 and 4."""
from types import SimpleNamespace

import zstandard

import columns
import wire
from bundle import decoded
from keys import labelled, pre_authentication_encoding
from refusal import require

MANIFEST_TYPE = 'application/vnd.ledgerline.manifest.v1+protobuf'
SEALED_MAX, PLAIN_MAX, SECTIONS_MAX = 64 * 1024, 1024 * 1024, 64
KNOWN_FIELDS = set(wire.MANIFEST)


def signed_integer(data, part):
    """Section 1.6: two's complement, big-endian, shortest."""
    require(1 <= len(data) <= 16, part, 'a total has not 1 to 16 bytes')
    value = int.from_bytes(data, 'big', signed=True)
    require(len(data) == 1 or not -(1 << (8 * len(data) - 9)) <= value < 1 << (8 * len(data) - 9), part,
            'a total is not in its shortest form')
    return value


def subject_tag(stream, subject):
    return labelled('ledgerline/subject/v1', stream, b'\0', subject.encode('utf-8'))[:16]


def _check_manifest(manifest, part):
    require(manifest.format == 1 and set(manifest.critical) <= KNOWN_FIELDS, part,
            'its manifest asks for a reader that knows more')
    require(len(manifest.stream) == 16 and len(manifest.previous_batch_id) == 32 and manifest.batch_number >= 1, part,
            'its manifest is incomplete')
    require(manifest.first_seq >= 1 and manifest.last_seq >= manifest.first_seq - 1, part, 'its seqs make no sense')
    require(manifest.last_seq - manifest.first_seq + 1 <= columns.READINGS_MAX, part, 'it has more than 4096 readings')
    require(1 <= len(manifest.sections) <= SECTIONS_MAX, part, 'it has not 1 to 64 sections')
    require(sum(section.plain_size for section in manifest.sections) <= PLAIN_MAX, part, 'its sections exceed 1 MiB')
    tags = [section.subject_tag for section in manifest.sections]
    require(all(len(section.hash) == 32 for section in manifest.sections), part, 'a section hash has not 32 bytes')
    require(all(len(tag) == 16 for tag in tags) or tags == [b''], part, 'some of its sections have no subject tag')
    require(len(set(tags)) == len(tags), part, 'a subject tag stands twice')
    require(tags == [b''] or tags[0] == subject_tag(manifest.stream, ''), part,
            "its first section is not the device's own")
    meters = [total.meter for total in manifest.totals]
    require(meters == sorted(set(meters)), part, 'its totals are not ascending')


def _check_sections(sealed, manifest, part):
    """Hash of each section that is there. Returns which are withheld."""
    require(len(sealed.sections) == len(manifest.sections), part, 'it has not the sections of its manifest')
    withheld = []
    for number, (section, said) in enumerate(zip(sealed.sections, manifest.sections)):
        withheld.append(not section.salt and not section.compressed)
        if withheld[-1]:
            require(number > 0, part, 'its first section is withheld')
            continue
        require(len(section.salt) == 16, part, 'a salt has not 16 bytes')
        require(labelled('ledgerline/section/v1', section.salt, section.compressed) == said.hash, part,
                'the hash of section %d is not that of its manifest' % (number + 1))
        require(len(section.compressed) == said.compressed_size, part,
                'section %d has not the size that its manifest says' % (number + 1))
    return withheld


def opened(item, key):
    """A batch of the bundle whose signature and hashes hold. `item`: bundle.contents' batch; `key`: the stream's."""
    part = 'batch %d of stream %s' % (item.number, item.stream.hex())
    require(len(item.sealed_bytes) <= SEALED_MAX, part, 'it has more than 64 KiB')
    sealed = decoded(wire.SEALED_BATCH, item.sealed_bytes, part)
    manifest = decoded(wire.MANIFEST, sealed.manifest, part)
    require((manifest.stream, manifest.batch_number) == (item.stream, item.number), part,
            'its manifest is of another stream or number')
    require(sealed.key_id == key.id and key.signed(
        sealed.signature, pre_authentication_encoding(MANIFEST_TYPE, sealed.manifest)), part,
            "the signature is not the stream's key's")
    _check_manifest(manifest, part)
    withheld = _check_sections(sealed, manifest, part)
    totals = {total.meter: signed_integer(total.sum, part) for total in manifest.totals}
    return SimpleNamespace(part=part, stream=item.stream, number=item.number, received=item.received, proof=item.proof,
                           id=labelled('ledgerline/batch/v1', sealed.manifest), manifest=manifest, sealed=sealed,
                           withheld=withheld, totals=totals)


def _plain(section, said, part):
    require(said.dictionary == 0, part, 'dictionary %d is not known' % said.dictionary)
    try:
        require(zstandard.frame_content_size(section.compressed) == said.plain_size, part,
                'a section has not the plain size that its manifest says')
        reader = zstandard.ZstdDecompressor().decompressobj()
        plain = reader.decompress(section.compressed)
    except zstandard.ZstdError as error:
        require(False, part, 'a section cannot be decompressed: %s' % error)
    require(reader.eof and not reader.unused_data and len(plain) == said.plain_size, part,
            'a section is not one whole zstd frame')
    return plain


def _check_by_subject(number, section, said, stream, part):
    if number == 0:
        require(not section.subjects, part, "the device's own section names subjects")
        return
    require(len(section.subjects) == 1 and not section.records, part, 'a section is not of one subject alone')
    require(section.readings and all(index == 1 for index in section.indexes), part,
            "a subject's section has none of its readings, or others'")
    require(said.subject_tag == subject_tag(stream, section.subjects[0]), part,
            'a section has not the tag of its subject')


def _check_seqs(batch, sections, readings):
    first, last = batch.manifest.first_seq, batch.manifest.last_seq
    seqs = [reading.seq for reading in readings]
    require(len(set(seqs)) == len(seqs), batch.part, 'a seq stands twice')
    missing, hidden = last - first + 1 - len(seqs), sum(batch.withheld)
    require(missing >= hidden if hidden else missing == 0, batch.part, 'its sections do not hold its readings')
    begins = [section.readings[0].seq for section in sections[1:]]
    require(begins == sorted(begins), batch.part, 'its sections are not in the order of their first seqs')


def read_back(batch):
    """Its readings in the order of their seqs, as far as they are shown, and its records. Also: sections' meters are not yet
    looked at (columns.Meters)."""
    sections = []
    for number, (sealed, said) in enumerate(zip(batch.sealed.sections, batch.manifest.sections)):
        if batch.withheld[number]:
            continue
        section = columns.read_section(_plain(sealed, said, batch.part), batch.manifest.first_seq, batch.manifest.last_seq,
                                       bool(said.subject_tag), batch.part)
        if said.subject_tag:
            _check_by_subject(number, section, said, batch.stream, batch.part)
        sections.append(section)
    readings = [reading for section in sections for reading in section.readings]
    readings.sort(key=lambda reading: reading.seq)
    _check_seqs(batch, sections, readings)
    return SimpleNamespace(readings=readings, records=sections[0].records, sections=sections)
