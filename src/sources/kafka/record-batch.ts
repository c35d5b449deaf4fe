/**
 * Decodes record sets as brokers send them: record batches of version 2, one after the other. The hot path
 * of the Kafka source: no object per message, positions and offsets go into typed arrays.
 *
 *   R1. A message comes out once at most, in the order of its offset, and never from below the asked offset.
 *   R2. `nextOffset` lies behind everything that was read past (control batches, aborted messages, gaps)
 *       and never behind a batch that was not decoded.
 *   R3. With `aborted` given, no message of an aborted transaction comes out (read_committed).
 *   R4. Bytes that are not right are an error that names the offset: no read out of bounds, no endless loop,
 *       memory bounded by `limits`.
 *
 * The checksum does not cover a batch's base offset, length and leader epoch. A wrong length ends the set
 * early or fails; a wrong base offset fails unless it is a possible one, as compaction makes gaps legal.
 *
 *   baseOffset int64 @0, batchLength int32 @8 (counts from 12), leaderEpoch int32 @12, magic int8 @16,
 *   crc uint32 @17 (Castagnoli, from 21 to the end), attributes int16 @21, lastOffsetDelta int32 @23,
 *   baseTimestamp int64 @27, maxTimestamp int64 @35, producerId int64 @43, producerEpoch int16 @51,
 *   baseSequence int32 @53, recordCount int32 @57, records @61
 */
import { crc32c } from '@node-rs/crc32';
import { LoadError } from '../../base/errors.ts';
import { CodecError, type CodecName, codecNames, decompress } from './codecs.ts';
import type { MessageBatch, RawFetchPartition } from './kafka.types.ts';
import { RecordColumns } from './record-columns.ts';

export interface RecordSet {
  readonly topic: string;
  readonly partition: number;
  readonly records: Uint8Array;
  /** What was asked for: the first batch may begin before it. */
  readonly fromOffset: bigint;
  /** Where the log ended when the broker began to read. Batches may lie behind it, but not far. */
  readonly endOffset: bigint;
  /** As the broker gave them for this very response; `null`: read_uncommitted. */
  readonly aborted: RawFetchPartition['abortedTransactions'] | null;
}

export interface DecodeLimits {
  readonly checkCrcs: boolean;
  /** One batch may not become larger. */
  readonly batchBytesMax: number;
  /** Decoding stops behind the batch that reaches it; `nextOffset` says where. */
  readonly plainBytesMax: number;
}

export interface DecodedSet {
  readonly batches: readonly MessageBatch[];
  readonly nextOffset: bigint;
  /** Length of the batch that was cut off at the end; 0: none was. With no progress, ask for so many bytes. */
  readonly partialBytes: number;
}

const headerBytes = 61;
const lengthFrom = 12;
const compactSpan = 2n ** 31n;

interface Header {
  readonly start: number;
  readonly end: number;
  readonly base: bigint;
  readonly last: bigint;
  readonly codec: CodecName;
  readonly count: number;
  /** Of each message where the broker stamped them, else the base of their deltas. */
  readonly timestamp: number;
  readonly stamped: boolean;
  readonly transactional: boolean;
  readonly control: boolean;
  readonly producerId: bigint;
}

/** Throws KAFKA_CRC, KAFKA_BAD_BATCH, KAFKA_CODEC for the first batch; before a later bad one it ends. */
export function decodeRecordSet(set: RecordSet, limits: DecodeLimits): DecodedSet {
  const { records, topic, partition } = set;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const transactions = set.aborted === null ? null : new AbortedTransactions(set.aborted);
  const batches: MessageBatch[] = [];
  let nextOffset = set.fromOffset;
  let partialBytes = 0;
  let plainBytes = 0;
  let isPlaced = false;
  // Plain batches lie in one buffer already: neighbours become one message batch.
  let run: RecordColumns | null = null;
  const close = () => {
    if (run !== null && run.count > 0) batches.push(run.toBatch(topic, partition));
    run = null;
  };

  const step = (at: number): number => {
    const header = readHeader(set, view, at, nextOffset);
    if (typeof header === 'number') {
      partialBytes = header;
      return records.length;
    }
    isPlaced = true;
    if (limits.checkCrcs) checkCrc(set, view, header);

    transactions?.begin(header.last);
    if (header.control) {
      transactions?.end(header.producerId);
    } else if (transactions?.hides(header) !== true && header.count > 0) {
      if (header.codec === 'none') {
        plainBytes += header.end - header.start;
        if (run !== null && header.last - run.offsetBase >= compactSpan) close();
        run ??= new RecordColumns(records, header.base, plainMessagesMax(records, header));
        decodeInto(run, set, header, header.start + headerBytes, header.end);
      } else {
        close();
        const plain = decompressed(set, header, limits);
        plainBytes += plain.length;
        const columns = new RecordColumns(plain, header.base, header.count);
        decodeInto(columns, set, header, 0, plain.length);
        if (columns.count > 0) batches.push(columns.toBatch(topic, partition));
      }
    }
    nextOffset = header.last + 1n; // R2
    isPlaced = false;
    return header.end;
  };
  try {
    for (let at = 0; at < records.length && plainBytes < limits.plainBytesMax; ) at = step(at);
  } catch (error) {
    // What lies before a bad batch is good: it is given, and whoever asks again from there is told. But a batch
    // out of its place may mean that the offset of one before it was changed, which no checksum covers.
    const isGoodBefore = isPlaced && nextOffset > set.fromOffset;
    if (!(error instanceof LoadError) || !isGoodBefore) throw error;
  }
  close();
  return { batches, nextOffset, partialBytes };
}

/** A number: the batch is cut off, and this is its full length. */
function readHeader(
  set: RecordSet,
  view: DataView,
  start: number,
  nextOffset: bigint,
): Header | number {
  const left = view.byteLength - start;
  if (left < lengthFrom) return headerBytes;
  const base = view.getBigInt64(start);
  const length = view.getInt32(start + 8);
  if (left > 16) {
    const magic = view.getInt8(start + 16);
    if (magic === 0 || magic === 1) {
      throw new LoadError(
        'KAFKA_BAD_BATCH',
        `messages of the old format ${magic} are not supported`,
        {
          details: { topic: set.topic, partition: set.partition, offset: String(base), magic },
          hint: 'write the topic again with a client and a broker of version 0.11 or later',
        },
      );
    }
    if (magic !== 2) throw bad(set, base, `the format ${magic} of the batch is unknown`);
  }
  if (length < headerBytes - lengthFrom) throw bad(set, base, `its length ${length} is impossible`);
  if (length > left - lengthFrom) return length + lengthFrom;

  const end = start + lengthFrom + length;
  const attributes = view.getInt16(start + 21);
  const lastDelta = view.getInt32(start + 23);
  const stamped = (attributes & 0x08) !== 0;
  const header = {
    start,
    end,
    base,
    last: base + BigInt(lastDelta),
    codec: codecNames[attributes & 7] ?? 'none',
    count: view.getInt32(start + 57),
    timestamp: Number(view.getBigInt64(start + (stamped ? 35 : 27))),
    stamped,
    transactional: (attributes & 0x10) !== 0,
    control: (attributes & 0x20) !== 0,
    producerId: view.getBigInt64(start + 43),
  };
  if (base < 0n || lastDelta < 0) throw bad(set, base, 'its offsets are impossible');
  // A broker begins with the batch that holds the asked offset, and each further one lies behind.
  const first = start === 0;
  if (first ? header.last < nextOffset : base < nextOffset) {
    throw bad(set, base, `it lies before offset ${nextOffset}`);
  }
  if (header.last - set.endOffset > compactSpan) {
    throw bad(set, base, `it lies behind the end of the log, ${set.endOffset}`);
  }
  if (header.count < 0) throw bad(set, base, `its count ${header.count} is impossible`);
  if (codecNames[attributes & 7] === undefined) {
    throw codec(set, base, `the compression ${attributes & 7} is unknown`);
  }
  return header;
}

function checkCrc(set: RecordSet, view: DataView, header: Header): void {
  const expected = view.getUint32(header.start + 17);
  const found = crc32c(set.records.subarray(header.start + 21, header.end));
  if (expected === found) return;
  throw new LoadError(
    'KAFKA_CRC',
    `the checksum of a batch of topic "${set.topic}" partition ${set.partition} at offset ${header.base} is wrong`,
    {
      details: { ...where(set, header.base), expected, found },
      hint: 'check the disk of the broker and the network; a batch that is lost can be skipped with ALTER ROUTINE LOAD and kafka_offsets',
    },
  );
}

function decompressed(set: RecordSet, header: Header, limits: DecodeLimits): Uint8Array {
  try {
    const data = set.records.subarray(header.start + headerBytes, header.end);
    return decompress(header.codec, data, limits.batchBytesMax);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw codec(set, header.base, `could not decompress ${header.codec}: ${error.message}`);
  }
}

/** Enough for this batch and for what may follow in the same buffer, by the size of this one's messages. */
function plainMessagesMax(records: Uint8Array, header: Header): number {
  const bytes = header.end - header.start;
  const guess = Math.ceil((header.count * (records.length - header.start)) / bytes);
  return Math.min(guess + 16, records.length);
}

function decodeInto(
  columns: RecordColumns,
  set: RecordSet,
  header: Header,
  from: number,
  to: number,
): void {
  const lastDelta = Number(header.last - header.base);
  const skip = set.fromOffset > header.base ? Number(set.fromOffset - header.base) : 0; // R1
  const problem = columns.append({
    from,
    to,
    count: header.count,
    lastDelta,
    skip,
    deltaBase: Number(header.base - columns.offsetBase),
    timestamp: header.timestamp,
    stamped: header.stamped,
  });
  if (problem !== null) throw bad(set, header.base, problem);
}

/**
 * Which producer is inside an aborted transaction at the batch in hand. A producer may abort many times
 * within one response: each range begins at its first offset and ends at that producer's next marker.
 */
class AbortedTransactions {
  readonly #waiting: RawFetchPartition['abortedTransactions'][number][];
  readonly #open = new Set<bigint>();

  constructor(aborted: RawFetchPartition['abortedTransactions']) {
    // The next one is the last, so that taking it is cheap.
    this.#waiting = [...aborted].sort((a, b) =>
      a.firstOffset > b.firstOffset ? -1 : a.firstOffset < b.firstOffset ? 1 : 0,
    );
  }

  /** Before every batch, markers too: else a range whose messages are gone would begin behind its end. */
  begin(lastOffset: bigint): void {
    for (;;) {
      const next = this.#waiting.at(-1);
      if (next === undefined || next.firstOffset > lastOffset) return;
      this.#open.add(next.producerId);
      this.#waiting.pop();
    }
  }

  hides(header: Header): boolean {
    return header.transactional && this.#open.has(header.producerId);
  }

  /** At a marker of the producer. In an aborted range the first marker is its end, whatever it says. */
  end(producerId: bigint): void {
    this.#open.delete(producerId);
  }
}

function where(set: RecordSet, offset: bigint) {
  return { topic: set.topic, partition: set.partition, offset: String(offset) };
}

function bad(set: RecordSet, offset: bigint, problem: string): LoadError {
  return new LoadError(
    'KAFKA_BAD_BATCH',
    `the batch of topic "${set.topic}" partition ${set.partition} at offset ${offset} is damaged: ${problem}`,
    { details: where(set, offset) },
  );
}

function codec(set: RecordSet, offset: bigint, problem: string): LoadError {
  return new LoadError(
    'KAFKA_CODEC',
    `the batch of topic "${set.topic}" partition ${set.partition} at offset ${offset} cannot be read: ${problem}`,
    { details: where(set, offset) },
  );
}
