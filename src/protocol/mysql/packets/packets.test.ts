import { expect, it } from 'vitest';
import { PacketFramer } from './packet-framer.ts';
import { PacketReader } from './packet-reader.ts';
import { PAYLOAD_BYTES_MAX, PacketWriter } from './packet-writer.ts';
import { writeBinaryRow } from './row.ts';
import { readStmtExecute } from './stmt-execute.ts';

function packets(...payloads: Uint8Array[]): Buffer {
  const writer = new PacketWriter();
  for (const payload of payloads) {
    writer.begin();
    writer.bytes(payload);
    writer.end();
  }
  return writer.take();
}

function drain(framer: PacketFramer): Buffer[] {
  const all: Buffer[] = [];
  for (let packet = framer.next(); packet !== undefined; packet = framer.next()) all.push(packet);
  return all;
}

it.each([
  { name: 'whole', step: 1e9 },
  { name: 'byte by byte', step: 1 },
])('framer: $name', ({ step }) => {
  const payloads = [Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(3_000, 7)];
  const bytes = packets(...payloads);
  const framer = new PacketFramer(10_000);
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    framer.push(bytes.subarray(at, at + step));
    found.push(...drain(framer));
  }
  expect(found).toEqual(payloads);
  expect(framer.buffered).toBe(0);
});

it.each([-1, 0, 1])('splits and joins 16 MiB %i', (more) => {
  const payload = Buffer.alloc(PAYLOAD_BYTES_MAX + more, 5);
  const bytes = packets(payload, Buffer.from('next'));
  const framer = new PacketFramer(2 * PAYLOAD_BYTES_MAX);
  framer.push(bytes);
  const found = drain(framer);
  expect(found.map((packet) => packet.length)).toEqual([payload.length, 4]);
  expect(found[0]?.equals(payload)).toBe(true);
});

it('F1: refuses a length above the limit when its header has come, chained packets too', () => {
  const framer = new PacketFramer(100);
  framer.push(Uint8Array.of(101, 0, 0, 0));
  expect(() => framer.next()).toThrow(/bigger than/);
  const chained = new PacketFramer(PAYLOAD_BYTES_MAX + 10);
  chained.push(packets(Buffer.alloc(PAYLOAD_BYTES_MAX + 11)));
  expect(() => chained.next()).toThrow(/bigger than/);
});

it('F3: refuses a wrong sequence id', () => {
  const framer = new PacketFramer(100);
  framer.push(Uint8Array.of(1, 0, 0, 1, 0));
  expect(() => framer.next()).toThrow('Got packets out of order');
});

it('wire.truncated: every prefix of an execution is malformed, the whole is not', () => {
  const whole = Uint8Array.of(
    ...[0, 1, 0, 0, 0, 0b10, 1, 8, 0, 6, 0, 253, 0, 12, 0],
    ...[1, 0, 0, 0, 0, 0, 0, 0x80, 2, 0x68, 0x69, 7, 0xe4, 7, 5, 11, 1, 2, 3],
  );
  const read = (length: number) =>
    readStmtExecute(new PacketReader(whole.subarray(0, length)), 4, undefined, new Map()).values;
  expect(read(whole.length)).toEqual([-(2n ** 63n) + 1n, null, 'hi', '2020-05-11 01:02:03']);
  for (let length = 0; length < whole.length; length++) {
    expect(() => read(length), `${length} bytes`).toThrow(/malformed/);
  }
});

it('binary DATETIME keeps leading zeros of its microseconds', () => {
  const writer = new PacketWriter();
  writeBinaryRow(writer, ['2020-05-11 23:59:58.000120'], [{ name: 'DATETIME' }]);
  expect([...writer.take().subarray(6)]).toEqual([11, 0xe4, 7, 5, 11, 23, 59, 58, 120, 0, 0, 0]);
});
