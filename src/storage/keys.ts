/**
 * The key space of an ordered store; keys are made here and nowhere else. Numbers are 8 bytes big-endian, so
 * that the order of keys is the order of numbers.
 *
 *   <prefix>e<seq>            a journal entry
 *   <prefix>h<seq>            the header of the checkpoint of the fold at seq; written last, with sync
 *   <prefix>s<seq><section>   a section of that checkpoint
 *   part/<partId>             the bytes of an inline part            (BE; digest in the vote entry)
 *   rejects/<txnId><attempt>  rejected rows of a transaction, JSON   (BE; digest in the vote entry)
 *
 * <prefix> is the journal's name and a slash, `fe/` or `be/`.
 */
import { assert } from '../base/assert.ts';

export interface KeyRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export class JournalKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    assert(/^[a-z][a-z0-9-]*\/$/.test(prefix), `"${prefix}" is no journal prefix`);
    assert(prefix !== 'part/' && prefix !== 'rejects/', `"${prefix}" is taken`);
    this.#prefix = prefix;
  }

  entry(seq: number): Uint8Array {
    return key(`${this.#prefix}e`, seq);
  }

  entriesFrom(seq: number): KeyRange {
    return { from: this.entry(seq), to: text(`${this.#prefix}f`) };
  }

  header(seq: number): Uint8Array {
    return key(`${this.#prefix}h`, seq);
  }

  headers(): KeyRange {
    return { from: text(`${this.#prefix}h`), to: text(`${this.#prefix}i`) };
  }

  section(seq: number, section: number): Uint8Array {
    return key(`${this.#prefix}s`, seq, section);
  }

  /** All sections of the checkpoints with from ≤ seq < to. */
  sections(from: number, to: number): KeyRange {
    return { from: key(`${this.#prefix}s`, from), to: key(`${this.#prefix}s`, to) };
  }

  owns(candidate: Uint8Array): boolean {
    return Buffer.from(candidate).toString('latin1').startsWith(this.#prefix);
  }

  /** The first number in an entry's, header's or section's key; -1 where it is none. */
  seqOf(candidate: Uint8Array): number {
    return numberAt(candidate, this.#prefix.length + 1);
  }
}

export const partKey = (partId: string): Uint8Array => text(`part/${partId}`);

export const rejectsKey = (txnId: number, attempt: number): Uint8Array =>
  key('rejects/', txnId, attempt);

function text(value: string): Uint8Array {
  return Buffer.from(value, 'utf8');
}

function key(prefix: string, ...numbers: readonly number[]): Uint8Array {
  const out = Buffer.alloc(prefix.length + 8 * numbers.length);
  out.write(prefix, 'latin1');
  numbers.forEach((number, i) => {
    assert(Number.isSafeInteger(number) && number >= 0, `${number} cannot stand in a key`);
    out.writeBigUInt64BE(BigInt(number), prefix.length + 8 * i);
  });
  return out;
}

function numberAt(bytes: Uint8Array, position: number): number {
  if (bytes.length < position + 8) return -1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = view.getBigUint64(position);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(value);
}
