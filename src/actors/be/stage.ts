/** Rows to parts, parts to votes: buckets (P3), one part for each executor BE, staged there (DESIGN.md, life of a batch). */
import { assert } from '../../base/assert.ts';
import type { ColumnBatch } from '../../base/column-batch.ts';
import type { TableSchema } from '../../base/table-schema.ts';
import type { BuiltPart, PartBytes, PartWriter } from '../../engine/engine.types.ts';
import { bucketOf } from '../../formats/bucket.ts';
import { takeRows } from '../../formats/column-builder.ts';
import type { StoredReject, Vote } from '../../storage/tablet-store.types.ts';
import { bytesRef, readBytesRef } from '../bytes-ref.ts';
import {
  type AbortMessage,
  beSubject,
  type FeStamp,
  type LoadTarget,
  type PlacedTablet,
  type StageMessage,
} from '../messages.ts';
import type { BeContext } from './be.ts';

const INLINE_PART_MAX = 256 * 1024;
const STAGE_TIMEOUT_MS = 60_000;

export interface TxnHead {
  readonly fe: FeStamp;
  readonly txnId: number;
  readonly attempt: number;
  readonly label: string;
}

interface Executor {
  readonly beId: string;
  readonly incarnation: string;
  readonly writer: PartWriter;
}

/** Collects the rows of one transaction by executor BE. */
export class Stager {
  readonly #context: BeContext;
  readonly #head: TxnHead;
  readonly #schema: TableSchema;
  readonly #target: LoadTarget;
  readonly #executors = new Map<string, Executor>();
  #random = 0;

  constructor(context: BeContext, head: TxnHead, schema: TableSchema, target: LoadTarget) {
    this.#context = context;
    this.#head = head;
    this.#schema = schema;
    this.#target = target;
    context.schemas.set(target.tableId, schema);
  }

  async append(batch: ColumnBatch): Promise<void> {
    if (batch.rows === 0) return;
    const buckets = this.#buckets(batch);
    const { tablets } = this.#target;
    const byBe = new Map<string, { tablet: PlacedTablet; rows: number[]; ids: number[] }>();
    for (let row = 0; row < batch.rows; row++) {
      const tablet = tablets[buckets[row]!];
      assert(tablet !== undefined, 'every bucket has a tablet');
      let share = byBe.get(tablet.beId);
      if (share === undefined) {
        share = { tablet, rows: [], ids: [] };
        byBe.set(tablet.beId, share);
      }
      share.rows.push(row);
      share.ids.push(tablet.tabletId);
    }
    for (const [beId, { tablet, rows, ids }] of byBe) {
      const whole = rows.length === batch.rows;
      const part = whole ? batch : takeRows(batch, Uint32Array.from(rows));
      await this.#executor(beId, tablet.incarnation).writer.append(part, Float64Array.from(ids));
    }
  }

  #buckets(batch: ColumnBatch): Uint32Array {
    const { buckets } = this.#target;
    const { columns, bucketColumns } = this.#schema;
    if (bucketColumns.length === 0) {
      return Uint32Array.from({ length: batch.rows }, () => this.#random++ % buckets);
    }
    const keyed = bucketColumns.map((name) => {
      const i = columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
      const column = batch.columns[i];
      const def = columns[i];
      assert(column !== undefined && def !== undefined, `bucket column "${name}" is in the schema`);
      return { column, type: def.type };
    });
    return bucketOf(keyed, batch.rows, buckets);
  }

  #executor(beId: string, incarnation: string): Executor {
    const known = this.#executors.get(beId);
    if (known !== undefined) return known;
    const { engine, store } = this.#context;
    const spec = {
      schema: this.#schema,
      path: store.stagingPath(),
      inlineBytesMax: INLINE_PART_MAX,
    };
    const made = { beId, incarnation, writer: engine.openPart(spec) };
    this.#executors.set(beId, made);
    return made;
  }

  /** Every participant's vote; rejects go with this BE's own, which by them is a participant (C6). */
  async vote(rejects: readonly StoredReject[]): Promise<Vote[]> {
    const { store } = this.#context;
    const own = this.#executors.get(store.beId);
    const votes: Vote[] = [];
    try {
      const built = await Promise.all(
        [...this.#executors.values()].map(async (executor) => ({
          executor,
          part: await executor.writer.finish(),
        })),
      );
      const others = built.filter(({ executor, part }) => executor !== own && part.rows > 0);
      const mine = built.find(({ executor, part }) => executor === own && part.rows > 0);
      const staged = await Promise.allSettled([
        ...others.map(({ executor, part }) => this.#stageAt(executor, part)),
        ...(mine !== undefined || rejects.length > 0 ? [this.#stageHere(mine?.part, rejects)] : []),
      ]);
      for (const one of staged) {
        if (one.status === 'rejected') throw one.reason;
        votes.push(one.value);
      }
      return votes;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  #stageHere(part: BuiltPart | undefined, rejects: readonly StoredReject[]): Promise<Vote> {
    const { store } = this.#context;
    const { txnId, attempt, fe, label } = this.#head;
    const base = {
      txnId,
      attempt,
      fe: { epoch: fe.epoch, incarnation: fe.incarnation },
      label,
      rejects,
    };
    if (part === undefined) return store.stage(base);
    const { tableId } = this.#target;
    return store.stage({ ...base, part: { ...part, tableId, schema: this.#schema } });
  }

  #stageAt(executor: Executor, part: BuiltPart): Promise<Vote> {
    const { bus, parts } = this.#context;
    const message: StageMessage = {
      ...this.#head,
      schema: this.#schema,
      tableId: this.#target.tableId,
      rows: part.rows,
      tablets: part.tablets,
      data: part.data.kind === 'file' ? part.data : bytesRef(part.data.bytes, parts),
    };
    return bus.request<Vote>(beSubject(executor.beId, executor.incarnation, 'stage'), message, {
      timeoutMs: STAGE_TIMEOUT_MS,
    });
  }

  /** Gives everything up here and at the others; whoever misses it asks later (presumed abort). */
  async abort(): Promise<void> {
    const { store, bus, log } = this.#context;
    const { txnId, attempt, fe } = this.#head;
    await Promise.allSettled([...this.#executors.values()].map(({ writer }) => writer.discard()));
    await store.abort(txnId, attempt).catch((error: unknown) => {
      log.write('warn', 'abort failed', { txnId, error: String(error) });
    });
    const message: AbortMessage = { fe, txnId, attempt };
    await Promise.allSettled(
      [...this.#executors.values()]
        .filter(({ beId }) => beId !== store.beId)
        .map(({ beId, incarnation }) =>
          bus.request(beSubject(beId, incarnation, 'abort'), message, { timeoutMs: 2_000 }),
        ),
    );
  }
}

/** An executor's side: takes the bytes, makes them durable, votes (D5). */
export async function stageLocal(context: BeContext, message: StageMessage): Promise<Vote> {
  const { store, parts, schemas } = context;
  const { txnId, attempt, fe, label, schema, tableId, rows, tablets } = message;
  schemas.set(tableId, schema);
  const data: PartBytes =
    message.data.kind === 'file'
      ? message.data
      : { kind: 'inline', bytes: await readBytesRef(message.data, parts) };
  return store.stage({
    txnId,
    attempt,
    fe: { epoch: fe.epoch, incarnation: fe.incarnation },
    label,
    part: { rows, tablets, data, tableId, schema },
    rejects: [],
  });
}
