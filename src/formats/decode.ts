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
  /** Rows of the batch before: the next is likely to be as large, and growing is copying. */
  #capacity = 0;

  constructor(plan: DecodePlan, limits: GatherLimits) {
    this.#plan = plan;
    this.#format = plan.format.kind === 'csv' ? new CsvDecoder(plan) : new JsonDecoder(plan);
    this.#limits = limits;
  }

  add(messages: MessageBatch): void {
    if (this.#open === undefined) {
      const sink = new RowSink(this.#plan, Math.max(messages.count, this.#capacity));
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
    const decoded = this.#open?.sink.finish();
    this.#open = undefined;
    this.#capacity = Math.ceil(Math.min(decoded?.batch.rows ?? 0, 2 * this.#limits.rows) * 1.1);
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
