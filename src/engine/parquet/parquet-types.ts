/** Our column types in Parquet's words, as DuckDB reads them back. */
import type { SqlType } from '../../base/sql-type.ts';
import type { ThriftWriter } from './thrift-writer.ts';

export const PHYSICAL = {
  BOOLEAN: 0,
  INT32: 1,
  INT64: 2,
  FLOAT: 4,
  DOUBLE: 5,
  BYTE_ARRAY: 6,
  FIXED: 7,
} as const;

const CONVERTED = { UTF8: 0, DECIMAL: 5, DATE: 6, INT_8: 15, INT_16: 16, INT_32: 17, INT_64: 18 };
const LOGICAL = { STRING: 1, DECIMAL: 5, DATE: 6, TIMESTAMP: 8 };
const OPTIONAL = 1;

export function physicalOf(type: SqlType): number {
  switch (type.name) {
    case 'BOOLEAN':
      return PHYSICAL.BOOLEAN;
    case 'TINYINT':
    case 'SMALLINT':
    case 'INT':
    case 'DATE':
      return PHYSICAL.INT32;
    case 'BIGINT':
    case 'DATETIME':
      return PHYSICAL.INT64;
    case 'DECIMAL':
      return (type.precision ?? 10) <= 18 ? PHYSICAL.INT64 : PHYSICAL.FIXED;
    case 'FLOAT':
      return PHYSICAL.FLOAT;
    case 'DOUBLE':
      return PHYSICAL.DOUBLE;
    case 'LARGEINT': // There are no 128-bit integers: they go as text.
    case 'CHAR':
    case 'VARCHAR':
    case 'JSON':
      return PHYSICAL.BYTE_ARRAY;
  }
}

/*
  SchemaElement
    1 type, 2 type_length, 3 repetition_type, 4 name, 6 converted_type, 7 scale, 8 precision, 10 logicalType
*/
export function writeSchemaElement(to: ThriftWriter, name: string, type: SqlType): void {
  const physical = physicalOf(type);
  to.i32(1, physical);
  if (physical === PHYSICAL.FIXED) to.i32(2, 16);
  to.i32(3, OPTIONAL);
  to.text(4, name);
  switch (type.name) {
    case 'TINYINT':
      to.i32(6, CONVERTED.INT_8);
      break;
    case 'SMALLINT':
      to.i32(6, CONVERTED.INT_16);
      break;
    case 'INT':
      to.i32(6, CONVERTED.INT_32);
      break;
    case 'BIGINT':
      to.i32(6, CONVERTED.INT_64);
      break;
    case 'DATE':
      to.i32(6, CONVERTED.DATE);
      to.struct(10, () => to.struct(LOGICAL.DATE, () => {}));
      break;
    case 'DATETIME':
      // Without a zone: no converted type says that.
      to.struct(10, () =>
        to.struct(LOGICAL.TIMESTAMP, () => {
          to.bool(1, false);
          to.struct(2, () => to.struct(2, () => {}));
        }),
      );
      break;
    case 'DECIMAL': {
      const { precision = 10, scale = 0 } = type;
      to.i32(6, CONVERTED.DECIMAL);
      to.i32(7, scale);
      to.i32(8, precision);
      to.struct(10, () =>
        to.struct(LOGICAL.DECIMAL, () => {
          to.i32(1, scale);
          to.i32(2, precision);
        }),
      );
      break;
    }
    case 'LARGEINT':
    case 'CHAR':
    case 'VARCHAR':
    case 'JSON':
      to.i32(6, CONVERTED.UTF8);
      to.struct(10, () => to.struct(LOGICAL.STRING, () => {}));
      break;
    default:
      break;
  }
}
