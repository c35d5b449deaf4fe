/**
 * The bytes of a journal entry.
 *
 *   int<4>       crc        CRC32C of all that follows
 *   int<1>       format     1: the layout of this record
 *   int<4>       previous   the crc of the record before; 0 for the first
 *   int<8>       seq
 *   int<2>       version    of the entry's own format (J1)
 *   int<1>       length of the type's name
 *   string       type
 *   string<EOF>  the entry, JSON (json-codec.ts)
 *
 * Integers are big-endian. Whatever a disk may make of these bytes, `readRecord` gives an error that names the entry.
 */
import { DamageError, LoadError } from '../base/errors.ts';
import { digestHex, digestOf } from './digest.ts';
import { decodeJson } from './json-codec.ts';

export const ENTRY_BYTES_MAX = 64 * 1024 * 1024;

const FORMAT = 1;
const HEAD_BYTES = 20;

export interface JournalRecord {
  readonly bytes: Uint8Array;
  readonly crc: number;
}

export function writeRecord(record: {
  seq: number;
  previous: number;
  version: number;
  type: string;
  json: string;
}): JournalRecord {
  const typeBytes = Buffer.byteLength(record.type);
  const length = HEAD_BYTES + typeBytes + Buffer.byteLength(record.json);
  if (length > ENTRY_BYTES_MAX) {
    throw new LoadError(
      'JOURNAL_ENTRY_TOO_LARGE',
      `an entry "${record.type}" of ${length} bytes is above the limit of ${ENTRY_BYTES_MAX}`,
      { details: { type: record.type, length } },
    );
  }
  const bytes = Buffer.allocUnsafe(length);
  bytes[4] = FORMAT;
  bytes.writeUInt32BE(record.previous, 5);
  bytes.writeBigUInt64BE(BigInt(record.seq), 9);
  bytes.writeUInt16BE(record.version, 17);
  bytes[19] = typeBytes;
  bytes.write(record.type, HEAD_BYTES);
  bytes.write(record.json, HEAD_BYTES + typeBytes);
  const crc = digestOf(bytes.subarray(4));
  bytes.writeUInt32BE(crc, 0);
  return { bytes, crc };
}

export interface ReadRecord {
  readonly crc: number;
  readonly version: number;
  readonly type: string;
  readonly entry: unknown;
}

/** The record that must be the one with number `seq` after one with the crc `previous`. */
export function readRecord(
  stored: Uint8Array,
  expected: { journal: string; seq: number; previous: number },
): ReadRecord {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  const where = { journal: expected.journal, seq: expected.seq };
  const name = `entry ${expected.seq} of journal "${expected.journal}"`;
  const typeEnd = HEAD_BYTES + (bytes[19] ?? 0);
  if (bytes.length < HEAD_BYTES || bytes.readUInt32BE(0) !== digestOf(bytes.subarray(4))) {
    throw new DamageError('JOURNAL_CRC', where, `${name} is damaged: its checksum is wrong`);
  }
  if (bytes[4] !== FORMAT) throw newer(name, where, `record format ${bytes[4]}`);
  const seq = Number(bytes.readBigUInt64BE(9));
  if (seq !== expected.seq) {
    const message = `${name} is damaged: entry ${seq} stands in its place`;
    throw new DamageError('JOURNAL_MISPLACED', { ...where, found: seq }, message);
  }
  const previous = bytes.readUInt32BE(5);
  if (previous !== expected.previous) {
    const chain = { expected: digestHex(expected.previous), found: digestHex(previous) };
    const message = `${name} does not follow the entry before it: one of them is not what was written`;
    throw new DamageError('JOURNAL_CHAIN', { ...where, ...chain }, message);
  }
  return {
    crc: bytes.readUInt32BE(0),
    version: bytes.readUInt16BE(17),
    type: bytes.toString('utf8', HEAD_BYTES, typeEnd),
    entry: decodeJson(bytes.toString('utf8', typeEnd)),
  };
}

/** What a newer program wrote stops the start (J1). */
export function newer(name: string, details: Record<string, unknown>, what: string): LoadError {
  return new LoadError('JOURNAL_NEWER', `${name} has ${what}, which this program does not know`, {
    details,
    hint: 'it was written by a newer millrace: start that version, or restore a backup',
  });
}
