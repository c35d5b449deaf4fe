/**
 * Queries of the FE: one snapshot from one instant of the durable fold (PROTOCOL.md V2), one coordinating BE (V4).
 * Batches are pulled one by one, so that a slow client holds one batch.
 */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { LoadError, toErrorData } from '../../base/errors.ts';
import { randomUuid } from '../../base/random.ts';
import { BIGINT } from '../../base/sql-type.ts';
import type { EvalContext, ResultColumn } from '../../engine/engine.types.ts';
import { decodeBatch, encodeBatch } from '../../formats/column-codec.ts';
import type { PartStore } from '../../protocol/bus.types.ts';
import type { Select } from '../../sql/ast/select.ts';
import { countOnly } from '../../sql/count-only.ts';
import { bytesRef, readBytesRef } from '../bytes-ref.ts';
import type {
  QueryEndRequest,
  QueryNextRequest,
  QueryPiece,
  QueryRunReply,
  QueryRunRequest,
  QueryTableSpec,
} from '../messages.ts';
import type { QueryTableRequest } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { TableFact } from './fe-facts.ts';
import type { Nodes } from './nodes.ts';
import type { Txns } from './txns.ts';

const QUERY_TIMEOUT_MS = 300_000;
/** V3: a reader who comes too late for its version begins anew with a new snapshot, so often. */
const TRIES_MAX = 5;

export interface FeQueryResult {
  readonly columns: readonly ResultColumn[];
  readonly batches: AsyncIterableIterator<ColumnBatch>;
  close(): Promise<void>;
}

export class Queries {
  readonly #core: FeCore;
  readonly #nodes: Nodes;
  readonly #txns: Txns;
  readonly #parts: PartStore;
  #turn = 0;

  constructor(core: FeCore, nodes: Nodes, txns: Txns, parts: PartStore) {
    this.#core = core;
    this.#nodes = nodes;
    this.#txns = txns;
    this.#parts = parts;
  }

  async run(
    select: Select,
    tables: readonly QueryTableRequest[],
    context: EvalContext,
    signal: AbortSignal,
  ): Promise<FeQueryResult> {
    this.#nodes.assertDecides();
    for (let tries = 1; ; tries++) {
      try {
        return await this.#run(select, tables, context, signal);
      } catch (error) {
        const { code } = toErrorData(error);
        const late = code === 'VERSION_GONE' || code === 'VERSION_NOT_YET' || code === 'BE_LOST';
        if (!late || tries >= TRIES_MAX || signal.aborted) throw error;
      }
    }
  }

  /** The plan with its snapshot, for a SELECT and for INSERT … SELECT. */
  async plan(
    select: Select,
    tables: readonly QueryTableRequest[],
    context: EvalContext,
    signal: AbortSignal,
  ): Promise<QueryRunRequest> {
    const stored = tables.filter((table) => table.kind === 'stored');
    await this.#txns.settled(new Set(stored.map(({ table }) => table.tableId)), signal);
    return {
      fe: this.#core.stamp(),
      queryId: randomUuid(this.#core.random),
      select,
      context,
      tables: tables.map((table) => this.#spec(table)),
    };
  }

  coordinator(): { beId: string; incarnation: string } {
    const alive = this.#nodes.alive();
    this.#turn += 1;
    const chosen = alive[this.#turn % Math.max(1, alive.length)];
    if (chosen === undefined) {
      throw new LoadError('NO_BACKEND', 'no BE is alive to run the statement', {
        errno: 1064,
        transient: true,
        hint: 'SHOW BACKENDS tells when they were seen last',
      });
    }
    return chosen;
  }

  async #run(
    select: Select,
    tables: readonly QueryTableRequest[],
    context: EvalContext,
    signal: AbortSignal,
  ): Promise<FeQueryResult> {
    const request = await this.plan(select, tables, context, signal);
    const counted = this.#counted(select, tables);
    if (counted !== undefined) return counted;
    const be = this.coordinator();
    const { queryId } = request;
    const ask = <T>(verb: string, body: unknown) =>
      this.#nodes.requestOnce<T>(be, verb, body, { timeoutMs: QUERY_TIMEOUT_MS, signal });
    const parts = this.#parts;
    let closed = false;
    const nodes = this.#nodes;
    const close = async () => {
      if (closed) return;
      closed = true;
      const body: QueryEndRequest = { queryId };
      await nodes.request(be, 'query-close', body, { timeoutMs: 5_000 }).catch(() => undefined);
    };
    let reply: QueryRunReply;
    try {
      reply = await ask<QueryRunReply>('query-run', request);
    } catch (error) {
      await close();
      throw error;
    }
    async function* pull(): AsyncIterableIterator<ColumnBatch> {
      let piece: QueryPiece = reply.first;
      try {
        for (let seq = 1; ; seq++) {
          if (piece.bytes !== null)
            yield decodeBatch(await readBytesRef(piece.bytes, parts, signal));
          if (piece.isLast) break;
          const body: QueryNextRequest = { queryId, seq };
          piece = await ask<QueryPiece>('query-next', body);
        }
      } finally {
        // At the end nothing is held there but the first answer, for one who asks again: nobody waits for that.
        const closing = close();
        if (!piece.isLast) await closing;
      }
    }
    return { columns: reply.columns, batches: pull(), close };
  }

  /** The rows of a DUPLICATE table are those of its visible transactions, by their votes: no BE is asked. */
  #counted(select: Select, tables: readonly QueryTableRequest[]): FeQueryResult | undefined {
    const counted = countOnly(select);
    const [table] = tables;
    if (counted === undefined || table?.kind !== 'stored') return undefined;
    const fact = this.#core.journal.durable.tables.get(table.table.tableId);
    if (fact?.schema.model !== 'DUPLICATE') return undefined;
    const values = BigInt64Array.of(BigInt(fact.rows));
    async function* once(): AsyncGenerator<ColumnBatch, undefined> {
      yield { rows: 1, columns: [{ kind: 'i64', valid: null, values }] };
    }
    const column = { name: counted.name, type: BIGINT, nullable: true };
    return { columns: [column], batches: once(), close: async () => {} };
  }

  #spec(request: QueryTableRequest): QueryTableSpec {
    if (request.kind === 'rows') {
      const { db, name, columns, batch } = request;
      return { kind: 'rows', db, name, columns, bytes: bytesRef(encodeBatch(batch), this.#parts) };
    }
    const { db, name, table } = request;
    return { kind: 'stored', db, name, schema: table.schema, tablets: this.#snapshot(db, table) };
  }

  #snapshot(db: string, table: TableFact) {
    const { durable } = this.#core.journal;
    return table.tablets.map((tablet) => {
      const fact = durable.tablets.get(tablet.tabletId);
      const be = durable.bes.get(tablet.beId);
      if (fact === undefined) {
        throw new LoadError('TABLE_DROPPED', `Unknown table '${db}.${table.name}'`, {
          errno: 5502,
        });
      }
      if (fact.damaged !== null) {
        throw new LoadError(
          'TABLET_DAMAGED',
          `table "${table.name}" has a damaged tablet ${tablet.tabletId}: ${fact.damaged}`,
          {
            hint: 'nothing is repaired in silence: TRUNCATE or DROP the table, then load it again',
          },
        );
      }
      if (be === undefined || !this.#nodes.isAlive(tablet.beId)) {
        throw new LoadError(
          'BE_LOST',
          `table "${table.name}" cannot be read now: BE "${be?.name ?? tablet.beId}" of tablet ${tablet.tabletId} is not alive`,
          { transient: true, hint: 'SHOW BACKENDS tells when it was seen last' },
        );
      }
      return { ...tablet, incarnation: be.incarnation, version: fact.visible };
    });
  }
}
