/** Rows to parts, parts to votes: buckets (P3), one part for each executor BE, staged there (DESIGN.md, life of a batch). */
import { assert } from '../../base/assert.ts';
import type { ColumnBatch } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import type { TableSchema } from '../../base/table-schema.ts';
import type { BuiltPart, PartBytes, PartWriter } from '../../engine/engine.types.ts';
import { bucketOf } from '../../formats/bucket.ts';
import { takeRows } from '../../formats/column-rows.ts';
import type { StoredReject, Vote } from '../../storage/tablet-store.types.ts';
import { askAgain } from '../ask-again.ts';
import { bytesRef, readBytesRef } from '../bytes-ref.ts';
import {
  beSubject,
  type FeStamp,
  type LoadTarget,
  type PlacedTablet,
  type StageMessage,
} from '../messages.ts';
import type { BeContext } from './be.ts';
import { rememberSchema } from './schemas.ts';

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
  /** Transactions begin at different buckets: small ones would all meet in the first. */
  #random: number;
  #aborted = false;

  constructor(context: BeContext, head: TxnHead, schema: TableSchema, target: LoadTarget) {
    this.#context = context;
    this.#head = head;
    this.#schema = schema;
    this.#target = target;
    this.#random = head.txnId % Math.max(1, target.buckets);
    rememberSchema(context.schemas, schema);
  }

  async append(batch: ColumnBatch): Promise<void> {
    this.#checkAlive();
    if (batch.rows === 0) return;
    const { tablets, buckets } = this.#target;
    if (this.#schema.bucketColumns.length === 0) {
      // DISTRIBUTED BY RANDOM: a batch goes to one bucket as it is, the next batch to the next.
      const tablet = tablets[this.#random++ % buckets];
      assert(tablet !== undefined, 'every bucket has a tablet');
      const ids = new Float64Array(batch.rows).fill(tablet.tabletId);
      await this.#executor(tablet.beId, tablet.incarnation).writer.append(batch, ids);
      return;
    }
    const shares = shareRows(this.#buckets(batch), tablets);
    for (const { tablet, rows, ids } of shares) {
      const part = rows === null || rows.length === batch.rows ? batch : takeRows(batch, rows);
      await this.#executor(tablet.beId, tablet.incarnation).writer.append(part, ids);
    }
  }

  #buckets(batch: ColumnBatch): Uint32Array {
    const { buckets } = this.#target;
    const { columns, bucketColumns } = this.#schema;
    const keyed = bucketColumns.map((name) => {
      const i = columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
      const column = batch.columns[i];
      const def = columns[i];
      assert(column !== undefined && def !== undefined, `bucket column "${name}" is in the schema`);
      return { column, type: def.type };
    });
    return bucketOf(keyed, batch.rows, buckets);
  }

  /** What comes late after an abort must open no part that nobody would end (I5). */
  #checkAlive(): void {
    if (!this.#aborted) return;
    const { txnId } = this.#head;
    const details = { txnId };
    throw new LoadError('TXN_ABORTED', `transaction ${txnId} was given up`, { details });
  }

  #executor(beId: string, incarnation: string): Executor {
    this.#checkAlive();
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
    const { bus, clock, parts } = this.#context;
    // One by one: what was given as the head may be a whole order, whose `ranges` are others.
    const { fe, txnId, attempt, label } = this.#head;
    const message: StageMessage = {
      fe,
      txnId,
      attempt,
      label,
      schema: this.#schema,
      tableId: this.#target.tableId,
      rows: part.rows,
      tablets: part.tablets,
      ...(part.ranges === undefined ? {} : { ranges: part.ranges }),
      data: part.data.kind === 'file' ? part.data : bytesRef(part.data.bytes, parts),
    };
    const subject = beSubject(executor.beId, executor.incarnation, 'stage');
    return askAgain(STAGE_TIMEOUT_MS, clock, (timeoutMs) =>
      bus.request<Vote>(subject, message, { timeoutMs }),
    );
  }

  /**
   * Gives up what was not voted for. Votes are left alone, here and at the others: the FE alone decides about them (C1, C2).
   * A run that failed cannot know that none of its kind was committed.
   */
  async abort(): Promise<void> {
    this.#aborted = true;
    await Promise.allSettled([...this.#executors.values()].map(({ writer }) => writer.discard()));
  }
}

interface Share {
  /** One of the executor's, for its address. */
  readonly tablet: PlacedTablet;
  /** Absent: all of them, in their order. */
  readonly rows: Uint32Array | null;
  /** The tablet of each of the rows. */
  readonly ids: Float64Array;
}

/** Which rows go to which BE, in the order of the batch. */
function shareRows(buckets: Uint32Array, tablets: readonly PlacedTablet[]): Share[] {
  const beIds = [...new Set(tablets.map(({ beId }) => beId))];
  const beOf = Uint32Array.from(tablets, ({ beId }) => beIds.indexOf(beId));
  const idOf = Float64Array.from(tablets, ({ tabletId }) => tabletId);
  if (beIds.length === 1) {
    const ids = new Float64Array(buckets.length);
    for (let row = 0; row < buckets.length; row++) ids[row] = idOf[buckets[row]!]!;
    return [{ tablet: tablets[0]!, rows: null, ids }];
  }
  const counts = new Uint32Array(beIds.length);
  for (const bucket of buckets) {
    const be = beOf[bucket];
    assert(be !== undefined, 'every bucket has a tablet');
    counts[be]! += 1;
  }
  const shares = beIds.map((beId, be) => ({
    tablet: tablets.find((tablet) => tablet.beId === beId)!,
    rows: new Uint32Array(counts[be]!),
    ids: new Float64Array(counts[be]!),
  }));
  const filled = new Uint32Array(beIds.length);
  for (let row = 0; row < buckets.length; row++) {
    const bucket = buckets[row]!;
    const be = beOf[bucket]!;
    const share = shares[be]!;
    const at = filled[be]!++;
    share.rows[at] = row;
    share.ids[at] = idOf[bucket]!;
  }
  return shares.filter(({ rows }) => rows.length > 0);
}

/** An executor's side: takes the bytes, makes them durable, votes (D5). */
export async function stageLocal(context: BeContext, message: StageMessage): Promise<Vote> {
  const { store, parts, schemas } = context;
  const { txnId, attempt, fe, label, schema, tableId, rows, tablets, ranges } = message;
  rememberSchema(schemas, schema);
  const data: PartBytes =
    message.data.kind === 'file'
      ? message.data
      : { kind: 'inline', bytes: await readBytesRef(message.data, parts) };
  return store.stage({
    txnId,
    attempt,
    fe: { epoch: fe.epoch, incarnation: fe.incarnation },
    label,
    part: { rows, tablets, data, tableId, schema, ...(ranges === undefined ? {} : { ranges }) },
    rejects: [],
  });
}
