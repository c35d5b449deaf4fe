/**
 * Checkpoints (PROTOCOL.md J3): the whole fold at one sequence number, in sections, under keys of its own.
 *
 *   K1. The header is written last, with sync: without a header there is no checkpoint.
 *   K2. A checkpoint is whole or it is damaged; a damaged one is never used in part.
 *   K3. The one before and the entries after it stay until the next is whole.
 */
import { DamageError } from '../base/errors.ts';
import { digestHex, digestOf } from './digest.ts';
import { newer } from './journal-record.ts';
import { decodeJson, encodeJson } from './json-codec.ts';
import type { JournalKeys } from './keys.ts';
import type { OrderedStore, StoreOp } from './ordered-store.types.ts';

const FORMAT = 1;
const DELETES_AT_ONCE = 1_000;

interface Header {
  readonly format: number;
  /** Of the fold that wrote it: `FoldSpec.version`. */
  readonly version: number;
  readonly seq: number;
  /** Of the entry with that number: where the chain goes on. */
  readonly crc: number;
  readonly sections: number;
  /** CRC32C over the bytes of all sections, hex. */
  readonly digest: string;
}

export interface Checkpoint {
  readonly seq: number;
  readonly crc: number;
  readonly version: number;
  /** JSON texts: each fold decodes its own values from them. */
  readonly sections: readonly string[];
}

/** The sequence numbers of the headers in the store, newest first. */
export async function listCheckpoints(store: OrderedStore, keys: JournalKeys): Promise<number[]> {
  const seqs: number[] = [];
  for await (const [key] of store.range({ ...keys.headers(), reverse: true })) {
    seqs.push(keys.seqOf(key));
  }
  return seqs;
}

/** Throws a DamageError if anything of it is not what was written (K2). */
export async function readCheckpoint(
  store: OrderedStore,
  keys: JournalKeys,
  at: { journal: string; seq: number; version: number },
): Promise<Checkpoint> {
  const name = `the checkpoint of journal "${at.journal}" at entry ${at.seq}`;
  const damaged = (why: string): DamageError =>
    new DamageError(
      'CHECKPOINT_DAMAGED',
      { journal: at.journal, seq: at.seq },
      `${name} is damaged: ${why}`,
    );
  const stored = at.seq < 0 ? undefined : await store.get(keys.header(at.seq));
  if (stored === undefined) throw damaged('its header has no readable number');
  const header = decodeHeader(stored);
  if (header === undefined) throw damaged('the checksum of its header is wrong');
  if (header.format !== FORMAT) throw newer(name, at, `checkpoint format ${header.format}`);
  if (header.version > at.version) throw newer(name, at, `format version ${header.version}`);
  if (header.seq !== at.seq) throw damaged(`the header of entry ${header.seq} is in its place`);

  const sections: string[] = [];
  let digest = 0;
  for await (const [, bytes] of store.range(keys.sections(at.seq, at.seq + 1))) {
    if (sections.length === header.sections) throw damaged('it has a section too many');
    digest = digestOf(bytes, digest);
    sections.push(Buffer.from(bytes).toString('utf8'));
  }
  if (sections.length !== header.sections) {
    throw damaged(`it has ${sections.length} of ${header.sections} sections`);
  }
  if (digestHex(digest) !== header.digest) throw damaged('its checksum is wrong');
  return { seq: header.seq, crc: header.crc, version: header.version, sections };
}

/** Each section is a turn of its own: between them the store is waited for. */
export async function writeCheckpoint(
  store: OrderedStore,
  keys: JournalKeys,
  at: { seq: number; crc: number; version: number },
  saved: Iterable<unknown>,
): Promise<void> {
  let sections = 0;
  let digest = 0;
  for (const section of saved) {
    const value = Buffer.from(encodeJson(section), 'utf8');
    digest = digestOf(value, digest);
    await store.write([{ type: 'put', key: keys.section(at.seq, sections), value }], {
      sync: false,
    });
    sections += 1;
  }
  const header: Header = { format: FORMAT, ...at, sections, digest: digestHex(digest) };
  await store.write([{ type: 'put', key: keys.header(at.seq), value: encodeHeader(header) }], {
    sync: true,
  });
}

/** Removes what belongs to checkpoints with from ≤ seq < to: older ones, and such as never became whole. */
export async function removeCheckpoints(
  store: OrderedStore,
  keys: JournalKeys,
  from: number,
  to: number,
): Promise<void> {
  if (from >= to) return;
  const headers = { from: keys.header(from), to: keys.header(to) };
  // Headers first: sections without a header are garbage, a header without its sections would be damage.
  for (const range of [headers, keys.sections(from, to)]) {
    let ops: StoreOp[] = [];
    for await (const [key] of store.range(range)) {
      ops.push({ type: 'del', key });
      if (ops.length < DELETES_AT_ONCE) continue;
      await store.write(ops, { sync: false });
      ops = [];
    }
    if (ops.length > 0) await store.write(ops, { sync: false });
  }
}

export async function removeEntries(
  store: OrderedStore,
  keys: JournalKeys,
  from: number,
  to: number,
): Promise<void> {
  for (let seq = from; seq < to; seq += DELETES_AT_ONCE) {
    const length = Math.min(DELETES_AT_ONCE, to - seq);
    const ops = Array.from({ length }, (_, i): StoreOp => {
      return { type: 'del', key: keys.entry(seq + i) };
    });
    await store.write(ops, { sync: false });
  }
}

function encodeHeader(header: Header): Uint8Array {
  const json = Buffer.from(encodeJson(header), 'utf8');
  return Buffer.concat([Buffer.from(digestHex(digestOf(json)), 'latin1'), json]);
}

function decodeHeader(stored: Uint8Array): Header | undefined {
  const text = Buffer.from(stored).toString('latin1');
  const json = stored.subarray(8);
  if (text.slice(0, 8) !== digestHex(digestOf(json))) return undefined;
  return decodeJson(Buffer.from(json).toString('utf8')) as Header;
}
