/**
 * The low level of DuckDB's bindings: vectors as bytes. The typed layer above it makes an object of every value,
 * which costs more than all the work that DuckDB does with it.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type bindings from '@duckdb/node-bindings';

type Bindings = typeof bindings;

// The very copy that node-api has loaded: a second one would not know its objects.
const api = fileURLToPath(import.meta.resolve('@duckdb/node-api'));
export const raw = createRequire(api)('@duckdb/node-bindings') as Bindings;

export type RawVector = ReturnType<Bindings['data_chunk_get_vector']>;
export type RawChunk = Parameters<Bindings['data_chunk_get_size']>[0];

/** Rows of one vector; DuckDB's own constant. */
export const VECTOR_ROWS = raw.vector_size();
