/** Schemas that loads and queries brought along: compaction needs one, and what nobody touches needs no compaction. */
import type { TableSchema } from '../../base/table-schema.ts';

export function rememberSchema(schemas: Map<number, TableSchema>, schema: TableSchema): void {
  const known = schemas.get(schema.tableId);
  if (known === undefined || known.schemaId <= schema.schemaId) {
    schemas.set(schema.tableId, schema);
  }
}
