/** SELECT as parsed. */
import type { Expr } from './expr.ts';

export interface TableName {
  readonly db?: string;
  readonly name: string;
}

export interface OrderItem {
  readonly expr: Expr;
  readonly descending: boolean;
  /** Absent: NULLs first when ascending, last when descending, as StarRocks does. */
  readonly nullsFirst?: boolean;
}

export type FromItem =
  | { readonly kind: 'table'; readonly table: TableName; readonly alias?: string }
  | { readonly kind: 'select'; readonly select: Select; readonly alias: string }
  | {
      readonly kind: 'join';
      readonly type: 'INNER' | 'LEFT' | 'RIGHT' | 'FULL' | 'CROSS';
      readonly left: FromItem;
      readonly right: FromItem;
      readonly on?: Expr;
      readonly using?: readonly string[];
    };

export interface SelectItem {
  readonly expr: Expr;
  readonly alias?: string;
  /** The item's text as written; it names the result column where there is no alias. */
  readonly text: string;
}

export interface SelectCore {
  readonly kind: 'select';
  readonly distinct: boolean;
  readonly items: readonly SelectItem[];
  readonly from?: FromItem;
  readonly where?: Expr;
  readonly groupBy: readonly Expr[];
  readonly having?: Expr;
  readonly orderBy: readonly OrderItem[];
  readonly limit?: { readonly count: number; readonly offset: number };
}

export interface UnionSelect {
  readonly kind: 'union';
  readonly op: 'UNION' | 'UNION ALL' | 'EXCEPT' | 'INTERSECT';
  readonly left: Select;
  readonly right: Select;
  readonly orderBy: readonly OrderItem[];
  readonly limit?: { readonly count: number; readonly offset: number };
}

export type SelectBody = SelectCore | UnionSelect;

/** A query with its common table expressions. */
export interface Select {
  readonly with: readonly { readonly name: string; readonly select: Select }[];
  readonly body: SelectBody;
}
