import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { LoadError } from '../../base/errors.ts';
import { codecNames } from './codecs.ts';
import { makePlainElsewhere } from './make-plain.ts';
import { type DecodeLimits, decodeRecordSet, type PlainRecords } from './record-batch.ts';
import { writeBatch, writeMarker } from './record-batch-writer.ts';

const limits: DecodeLimits = { checkCrcs: true, batchBytesMax: 1 << 20, plainBytesMax: 1 << 22 };

/** Text that stays large when it is compressed. */
const text = (seed: string) =>
  Array.from({ length: 600 }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest('hex'),
  ).join();

const batch = (codec: (typeof codecNames)[number], at: number, value = text(`${at}`)) =>
  writeBatch({ baseOffset: BigInt(at), codec, messages: [{ value }, { value: `${at}` }] });

const parts = [
  batch('none', 0),
  batch('gzip', 2),
  batch('zstd', 4, 'small'),
  batch('snappy', 6),
  batch('lz4', 8),
  writeMarker('commit', 10n, 1n),
  batch('zstd', 11),
];
const records = Buffer.concat(parts);
const startOf = (part: number) => parts.slice(0, part).reduce((sum, { length }) => sum + length, 0);

const digest = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');

/** All that comes out, in short, or what is said. */
function decoded(bytes: Uint8Array, plain: PlainRecords | undefined, by = limits): unknown {
  const set = { topic: 't', partition: 0, records: bytes, fromOffset: 0n, endOffset: 100n };
  try {
    const { batches, ...others } = decodeRecordSet({ ...set, aborted: [] }, by, plain);
    const short = batches.map(({ bytes, start, length, offsetBase, offsetDelta }) => {
      const places = [...start, ...length, ...offsetDelta].join();
      return `${offsetBase}: ${places} ${digest(bytes)}`;
    });
    return { short, ...others };
  } catch (error) {
    const { code, message, details } = error as LoadError;
    return { code, message, details };
  }
}

describe('batches made plain elsewhere', () => {
  it('are those that are large, by where they begin', async () => {
    const plain = await makePlainElsewhere(records, limits);
    expect([...plain!.keys()]).toEqual([1, 3, 4, 6].map(startOf));
    expect(decoded(records, plain)).toEqual(decoded(records, undefined));
    for (const codec of codecNames.slice(1)) {
      const one = batch(codec, 0);
      const [made] = (await makePlainElsewhere(one, limits))!.values();
      const damaged = Buffer.from(one).fill(7, 61);
      const same = decoded(damaged, new Map([[0, made!]]), { ...limits, checkCrcs: false });
      expect(same, codec).toEqual(decoded(one, undefined));
    }
  });

  it('none, where nothing is worth it', () => {
    const small = Buffer.concat([batch('none', 0), batch('lz4', 2, 'small')]);
    expect(makePlainElsewhere(small, limits)).toBeUndefined();
    expect(makePlainElsewhere(records.subarray(0, 40), limits)).toBeUndefined();
  });

  it('no more than the decoder takes at a time', async () => {
    const few = { ...limits, plainBytesMax: 40_000 };
    const plain = await makePlainElsewhere(records, few);
    expect([...plain!.keys()]).toEqual([startOf(1), startOf(3)].slice(0, plain!.size));
    expect(plain!.size).toBeLessThan(3);
    expect(decoded(records, plain, few)).toEqual(decoded(records, undefined, few));
  });

  it('a bomb is left to the decoder, which says what it is', async () => {
    for (const codec of codecNames.slice(1)) {
      const bomb = batch(codec, 0, 'x'.repeat(20 << 20));
      const plain = await makePlainElsewhere(bomb, limits);
      expect(plain?.size ?? 0, codec).toBe(0);
      expect(decoded(bomb, plain)).toMatchObject({ code: 'KAFKA_CODEC' });
    }
  });

  it.each([true, false])('damage is told as without them (checksums: %s)', async (checkCrcs) => {
    const by = { ...limits, checkCrcs };
    for (let at = 5; at < records.length; at += 379) {
      const damaged = Buffer.from(records);
      damaged[at]! ^= 1 << (at & 7);
      const plain = await makePlainElsewhere(damaged, by);
      expect(decoded(damaged, plain, by), `byte ${at}`).toEqual(decoded(damaged, undefined, by));
    }
    for (const start of [1, 3, 4, 6].map(startOf)) {
      for (let at = start; at < start + 61; at++) {
        const damaged = Buffer.from(records);
        damaged[at]! ^= 1 << (at & 7);
        const plain = await makePlainElsewhere(damaged, by);
        expect(decoded(damaged, plain, by), `byte ${at}`).toEqual(decoded(damaged, undefined, by));
      }
    }
  });
});
