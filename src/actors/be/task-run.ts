/**
 * One routine-load task on its coordinator BE: a partition-consumer actor per partition, an RxJS pipeline of batches, parts,
 * votes. Its answer is a proposal: only the FE's commit entry moves progress.
 */
import { from, lastValueFrom } from 'rxjs';
import { concatMap, reduce } from 'rxjs/operators';
import { createActor, fromPromise, toPromise } from 'xstate';
import { LoadError } from '../../base/errors.ts';
import type { DecodedMessages } from '../../formats/decode.ts';
import { decodeMessages } from '../../formats/decode.ts';
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
import { Stager } from './stage.ts';

const FETCH_BYTES_MAX = 1024 * 1024;
const FETCH_WAIT_MS = 100;

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
  readonly #rejects: StoredReject[] = [];
  readonly #timestamps: Record<string, number> = {};
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
  /** Half of a batch may be staged: nothing of this task can be committed. */
  #acceptFailed = false;

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
  }

  async run(): Promise<TaskRunReply> {
    const { clock } = this.#context;
    const { ranges, limits, txnId } = this.#request;
    const beginMs = clock.now();
    const actors = ranges.map((range) => this.#consumer(range));
    const stop = () => {
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
      const votes = await this.#stager.vote(this.#rejects);
      this.#rememberGroup(txnId, progress);
      return {
        kind: 'staged',
        votes,
        progress,
        timestamps: this.#timestamps,
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
    }
  }

  #consumer(range: { partition: number; from: string }) {
    const { topic, txnId } = this.#request;
    let fetched: FetchedPartition | undefined;
    const machine = partitionConsumerMachine.provide({
      actors: {
        fetch: fromPromise<Fetched, ConsumerContext>(async ({ input, signal }) => {
          fetched = await this.#fetch(input, signal);
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
          return { limit: this.#counts.receivedBytes >= this.#request.limits.bytesMax };
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

  async #fetch(input: ConsumerContext, signal: AbortSignal): Promise<FetchedPartition> {
    const { topic, partition, position } = input;
    // A task ends behind the fetch that reaches its bound: the last one asks for no more than what is left.
    const left = this.#request.limits.bytesMax - this.#counts.receivedBytes;
    const maxBytes = Math.max(1, Math.min(FETCH_BYTES_MAX, left));
    const results = await this.#client.fetch(
      topic,
      [{ partition, offset: BigInt(position), maxBytes }],
      { maxWaitMs: FETCH_WAIT_MS, minBytes: 1, maxBytes },
      signal,
    );
    const found = results.find((one) => one.partition === partition);
    if (found === undefined) {
      throw new LoadError(
        'KAFKA_LEADER',
        `partition ${partition} of "${topic}" has no leader now`,
        {
          transient: true,
          details: { topic, partition, offset: position },
        },
      );
    }
    this.#ends[partition] = String(found.endOffset);
    return found;
  }

  /** Back-pressure: the partition fetches on when this has resolved. */
  async #accept(fetched: FetchedPartition): Promise<void> {
    this.#counts.receivedBytes += fetched.bytes;
    const { format, fields, transform } = this.#request;
    const plan = { format, fields, strict: transform.strict };
    await lastValueFrom(
      from(fetched.batches).pipe(
        decodeMessages(plan),
        concatMap((decoded) => this.#load(decoded)),
        reduce((count) => count + 1, 0),
      ),
    );
  }

  async #load({ messages, decoded }: DecodedMessages): Promise<void> {
    const { engine } = this.#context;
    const { fields, transform } = this.#request;
    const counts = this.#counts;
    counts.empty += decoded.empty;
    counts.coerced += decoded.coerced;
    counts.filtered += decoded.rejected;
    for (const reject of decoded.rejects) {
      this.#reject(
        messages,
        reject.message,
        reject.element,
        reject.column ?? null,
        reject.reason,
        reject.row,
      );
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
      this.#reject(messages, decoded.message[row]!, decoded.element[row]!, column, reason, rowText);
    }
    this.#stamp(messages);
    await this.#stager.append(output.batch);
  }

  #stamp(messages: MessageBatch): void {
    const last = messages.timestampMs[messages.count - 1];
    if (last !== undefined && last >= 0) this.#timestamps[messages.partition] = last;
  }

  #reject(
    messages: MessageBatch,
    message: number,
    element: number,
    column: string | null,
    reason: string,
    row: string,
  ): void {
    if (this.#rejects.length >= this.#request.rejectsMax) return;
    const { topic, partition, offsetBase, offsetDelta } = messages;
    const offset = String(offsetBase + BigInt(offsetDelta[message]!));
    this.#rejects.push({ topic, partition, offset, element, column, reason, row });
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
