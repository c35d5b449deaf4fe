/**
 * Messages to batches of rows that are worth a step of their own. Items are batches, never single messages: cost is paid
 * by the byte, not by the object. What is not full yet waits in the decoder, until more comes or somebody takes it.
 */
import { concatMap, EMPTY, type OperatorFunction, of } from 'rxjs';
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';
import { CsvDecoder } from './csv.ts';
import type { DecodedBatch, DecodePlan, FormatDecoder, MessageSource } from './decode.types.ts';
import { JsonDecoder } from './json.ts';
import { RowSink } from './row-sink.ts';

export interface GatherLimits {
  /** A batch is full with so many rows … */
  readonly rows: number;
  /** … or so many bytes of text. */
  readonly textBytes: number;
}

export class MessageDecoder {
  readonly #plan: DecodePlan;
  readonly #format: FormatDecoder;
  readonly #limits: GatherLimits;
  #open: { readonly sink: RowSink; readonly read: (messages: MessageBatch) => void } | undefined;
  /** Rows of the batch before, and its bytes of text by field: the next is likely to be as large, and growing is copying. */
  #capacity = 0;
  #textBytes: readonly number[] = [];

  constructor(plan: DecodePlan, limits: GatherLimits) {
    this.#plan = plan;
    this.#format = plan.format.kind === 'csv' ? new CsvDecoder(plan) : new JsonDecoder(plan);
    this.#limits = limits;
  }

  add(messages: MessageBatch): void {
    if (this.#open === undefined) {
      const sink = new RowSink(
        this.#plan,
        Math.max(messages.count, this.#capacity),
        this.#textBytes,
      );
      this.#open = { sink, read: this.#format.into(sink) };
    }
    this.#open.read(messages);
  }

  get isFull(): boolean {
    const sink = this.#open?.sink;
    if (sink === undefined) return false;
    return sink.rows >= this.#limits.rows || sink.textBytes >= this.#limits.textBytes;
  }

  /** What was added since the last time, if anything was. */
  take(): DecodedBatch | undefined {
    const sink = this.#open?.sink;
    if (sink === undefined) return undefined;
    const decoded = sink.finish();
    this.#open = undefined;
    const { rows, textBytes } = this.#limits;
    this.#capacity = Math.ceil(Math.min(decoded.batch.rows, 2 * rows) * 1.1);
    this.#textBytes = sink.textBytesByField.map((bytes) =>
      Math.ceil(Math.min(bytes, 2 * textBytes) * 1.1 + 64),
    );
    return decoded;
  }
}

export function decodeMessages(
  decoder: MessageDecoder,
): OperatorFunction<MessageBatch, DecodedBatch> {
  return concatMap((messages) => {
    decoder.add(messages);
    const decoded = decoder.isFull ? decoder.take() : undefined;
    return decoded === undefined ? EMPTY : of(decoded);
  });
}

/** Where a message lies that is known by its number. */
export function sourceOf(
  { sources }: Pick<DecodedBatch, 'sources'>,
  message: number,
): { readonly messages: MessageBatch; readonly index: number } {
  const { messages, first } = sources.findLast(
    (source) => source.first <= message,
  ) as MessageSource;
  return { messages, index: message - first };
}
