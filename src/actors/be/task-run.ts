/**
 * One routine-load task on its coordinator BE: a partition-consumer actor per partition, an RxJS pipeline of batches, parts,
 * votes. Its answer is a proposal: only the FE's commit entry moves progress.
 */
import { from, lastValueFrom, type Observable, of } from 'rxjs';
import { concatMap, reduce } from 'rxjs/operators';
import { createActor, fromPromise, toPromise } from 'xstate';
import { turn } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { decodeMessages, MessageDecoder, sourceOf } from '../../formats/decode.ts';
import type { DecodedBatch } from '../../formats/decode.types.ts';
import {
  type Accepted,
  type ConsumerContext,
  type Fetched,
  partitionConsumerMachine,
} from '../../machines/partition-consumer.ts';
import type {
  FetchedPartition,
  KafkaClient,
  MessageBatch,
} from '../../sources/kafka/kafka.types.ts';
import type { StoredReject } from '../../storage/tablet-store.types.ts';
import type { TaskRunReply, TaskRunRequest } from '../messages.ts';
import { type BeContext, rememberGroupOffsets } from './be.ts';
import { ReadAhead } from './read-ahead.ts';
import { Stager } from './stage.ts';
import { TimestampSample } from './timestamp-sample.ts';

/** What the engine and a part take at a time: enough that a step costs by the row, not by the call. */
const BATCH = { rows: 64 * 1024, textBytes: 16 * 1024 * 1024 };
/** So much is decoded in one go, in some 2 ms. */
const TURN_BYTES = 256 * 1024;

export async function runTask(
  context: BeContext,
  request: TaskRunRequest,
  stopping: AbortSignal,
): Promise<TaskRunReply> {
  const { client, release } = await context.kafka.acquire(request.kafka);
  try {
    return await new TaskRun(context, request, client, stopping).run();
  } finally {
    release();
  }
}

class TaskRun {
  readonly #context: BeContext;
  readonly #request: TaskRunRequest;
  readonly #client: KafkaClient;
  readonly #stopping: AbortSignal;
  readonly #stager: Stager;
  readonly #decoder: MessageDecoder;
  readonly #rejects: StoredReject[] = [];
  readonly #timestamps: Record<string, number> = {};
  readonly #sample = new TimestampSample();
  readonly #ends: Record<string, string> = {};
  readonly #counts = {
    loaded: 0,
    filtered: 0,
    unselected: 0,
    empty: 0,
    coerced: 0,
    receivedBytes: 0,
  };
  /** One batch is accepted at a time, whatever the partition: its parts keep the order of the source. */
  #turn: Promise<unknown> = Promise.resolve();
  /** The batch that is transformed and written while the next one is fetched and decoded. */
  #loading: Promise<void> = Promise.resolve();
  /** Half of a batch may be staged: nothing of this task can be committed. */
  #acceptFailed = false;
  /** Bytes that were decoded since this thread was left to others. */
  #sinceTurn = 0;
  #stopped = false;

  constructor(
    context: BeContext,
    request: TaskRunRequest,
    client: KafkaClient,
    stopping: AbortSignal,
  ) {
    this.#context = context;
    this.#request = request;
    this.#client = client;
    this.#stopping = stopping;
    this.#stager = new Stager(context, request, request.transform.schema, request.target);
    const { format, fields, transform } = request;
    this.#decoder = new MessageDecoder({ format, fields, strict: transform.strict }, BATCH);
  }

  async run(): Promise<TaskRunReply> {
    const { clock } = this.#context;
    const { ranges, limits, txnId } = this.#request;
    const beginMs = clock.now();
    const sources = ranges.map(({ partition }) => this.#readAhead(partition));
    const actors = ranges.map((range, i) => this.#consumer(range, sources[i]!));
    const stop = () => {
      this.#stopped = true;
      for (const actor of actors) {
        if (actor.getSnapshot().status === 'active') actor.send({ type: 'consumer.stop' });
      }
    };
    const timer = clock.setTimeout(stop, limits.consumeMs);
    this.#stopping.addEventListener('abort', stop, { once: true });
    try {
      const outputs = await Promise.all(
        actors.map(async (actor) => {
          const output = await toPromise(actor);
          // What the others would still bring is given up with it.
          if (output.error !== undefined) stop();
          return output;
        }),
      );
      // A fetch that failed behind accepted batches ends the range there; the next task meets it at its start, and says so.
      const failure = outputs.find(
        ({ error, position }, i) =>
          error !== undefined && (this.#acceptFailed || position === ranges[i]?.from),
      );
      if (failure !== undefined) throw failure.error;
      const progress: Record<string, { from: string; to: string }> = {};
      outputs.forEach(({ position }, i) => {
        const range = ranges[i]!;
        if (position !== range.from) progress[range.partition] = { from: range.from, to: position };
      });
      if (Object.keys(progress).length === 0) {
        await this.#stager.abort();
        return { kind: 'empty' };
      }
      await this.#loadRest();
      const votes = await this.#stager.vote(this.#rejects);
      this.#rememberGroup(txnId, progress);
      return {
        kind: 'staged',
        votes,
        progress,
        timestamps: this.#timestamps,
        producedMs: this.#sample.quantiles(),
        counts: { ...this.#counts, costMs: clock.now() - beginMs },
        rejects:
          this.#rejects.length > 0
            ? { beId: this.#context.store.beId, count: this.#rejects.length }
            : null,
        ends: this.#ends,
      };
    } catch (error) {
      await this.#stager.abort();
      throw error;
    } finally {
      clock.clearTimeout(timer);
      this.#stopping.removeEventListener('abort', stop);
      for (const source of sources) source.close();
    }
  }

  #readAhead(partition: number): ReadAhead {
    const { topic, ranges, limits } = this.#request;
    return new ReadAhead({
      client: this.#client,
      budget: this.#context.fetchBudget,
      topic,
      partition,
      partitions: ranges.length,
      // A task ends behind the fetch that reaches its bound: the last one asks for no more than what is left.
      bytesLeft: () => limits.bytesMax - this.#counts.receivedBytes,
    });
  }

  #consumer(range: { partition: number; from: string }, source: ReadAhead) {
    const { topic, txnId, limits } = this.#request;
    let fetched: FetchedPartition | undefined;
    const machine = partitionConsumerMachine.provide({
      actors: {
        fetch: fromPromise<Fetched, ConsumerContext>(async ({ input, signal }) => {
          fetched = await source.next(BigInt(input.position), signal);
          this.#ends[range.partition] = String(fetched.endOffset);
          return {
            next: String(fetched.nextOffset),
            atEnd: fetched.nextOffset >= fetched.endOffset,
          };
        }),
        accept: fromPromise<Accepted, ConsumerContext>(async () => {
          const batch = fetched;
          if (batch === undefined)
            throw new LoadError('INTERNAL', 'accepted before it was fetched');
          const turn = this.#turn.then(() => this.#accept(batch));
          this.#turn = turn.catch(() => {
            this.#acceptFailed = true;
          });
          await turn;
          source.accepted();
          // A stop that came meanwhile was not heard by the machine: the batch was to be whole in.
          return { limit: this.#stopped || this.#counts.receivedBytes >= limits.bytesMax };
        }),
      },
    });
    const actor = createActor(machine, {
      id: `partition-consumer.${txnId}.${range.partition}`,
      clock: this.#context.clock,
      input: { topic, ...range },
    });
    actor.start();
    return actor;
  }

  /** Back-pressure: the partition fetches no further than its next range until this has resolved. */
  async #accept(fetched: FetchedPartition): Promise<void> {
    this.#counts.receivedBytes += fetched.bytes;
    await lastValueFrom(
      from(fetched.batches).pipe(
        concatMap((batch) => this.#afterTurn(batch)),
        decodeMessages(this.#decoder),
        concatMap((decoded) => this.#load(decoded)),
        reduce((count) => count + 1, 0),
      ),
    );
    for (const { timestampMs, count, partition } of fetched.batches) {
      const last = timestampMs[count - 1];
      if (last !== undefined && last >= 0) this.#timestamps[partition] = last;
      this.#sample.add(timestampMs, count);
    }
  }

  /** The batch; now and then once all that waits for this thread had its turn: sockets, the engine, queries. */
  #afterTurn(batch: MessageBatch): Observable<MessageBatch> | Promise<MessageBatch> {
    const { start, length, count } = batch;
    if (count > 0) this.#sinceTurn += start[count - 1]! + length[count - 1]! - start[0]!;
    if (this.#sinceTurn < TURN_BYTES) return of(batch);
    this.#sinceTurn = 0;
    return turn(this.#context.clock).then(() => batch);
  }

  /** Resolves when the batch before is loaded: one is under way while the next is decoded. */
  async #load(decoded: DecodedBatch): Promise<void> {
    await this.#loading;
    this.#loading = this.#transform(decoded);
    // Whoever loads next, or the end of the task, is told.
    this.#loading.catch(() => {});
  }

  async #loadRest(): Promise<void> {
    const rest = this.#decoder.take();
    if (rest !== undefined) await this.#load(rest);
    await this.#loading;
  }

  async #transform(decoded: DecodedBatch): Promise<void> {
    const { engine } = this.#context;
    const { fields, transform } = this.#request;
    const counts = this.#counts;
    counts.empty += decoded.empty;
    counts.coerced += decoded.coerced;
    counts.filtered += decoded.rejected;
    for (const { message, element, column, reason, row } of decoded.rejects) {
      this.#reject(decoded, message, { element, column: column ?? null, reason, row });
    }
    const output = await engine.transform(
      {
        ...transform,
        fields: fields.flatMap(({ name, type }) => (type === undefined ? [] : [{ name, type }])),
      },
      decoded.batch,
      this.#stopping,
    );
    counts.loaded += output.batch.rows;
    counts.unselected += output.unselected;
    counts.coerced += output.coerced ?? 0;
    counts.filtered += output.rejected;
    for (const { row, column, reason, rowText } of output.rejects) {
      const element = decoded.element[row]!;
      this.#reject(decoded, decoded.message[row]!, { element, column, reason, row: rowText });
    }
    await this.#stager.append(output.batch);
  }

  #reject(
    decoded: DecodedBatch,
    message: number,
    what: Pick<StoredReject, 'element' | 'column' | 'reason' | 'row'>,
  ): void {
    if (this.#rejects.length >= this.#request.rejectsMax) return;
    const { messages, index } = sourceOf(decoded, message);
    const { topic, partition, offsetBase, offsetDelta } = messages;
    const offset = String(offsetBase + BigInt(offsetDelta[index]!));
    this.#rejects.push({ topic, partition, offset, ...what });
  }

  /** For monitoring alone, and only once the transaction is published: the next offset, as Kafka has it. */
  #rememberGroup(txnId: number, progress: Record<string, { to: string }>): void {
    const { kafka, topic, groupId } = this.#request;
    const offsets = new Map(
      Object.entries(progress).map(([partition, { to }]) => [Number(partition), BigInt(to)]),
    );
    const port = this.#context.kafka;
    rememberGroupOffsets(this.#context, txnId, async () => {
      const { client, release } = await port.acquire(kafka);
      try {
        await client.commitGroup(groupId, topic, offsets);
      } finally {
        release();
      }
    });
  }
}
