/**
 * Expressions as parsed: plain JSON, so that plans can carry them over the bus. Names keep the case in which
 * they were written; comparisons of column and function names fold it.
 */
import type { SqlType } from '../../base/sql-type.ts';
import type { Select } from './select.ts';

export type Expr =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** Digits as written (`12`, `1.50`, `1e3`), never a double: 64-bit and decimal values stay exact. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  /** A name, with its qualifiers outermost first: `a`, `t.a`, `db.t.a`. */
  | { readonly kind: 'column'; readonly path: readonly string[] }
  /** `*` or `t.*`, only as a select item or as the argument of count. */
  | { readonly kind: 'star'; readonly path: readonly string[] }
  | {
      readonly kind: 'variable';
      readonly scope: 'user' | 'session' | 'global';
      readonly name: string;
    }
  | { readonly kind: 'unary'; readonly op: '-' | '+' | '~' | 'NOT'; readonly arg: Expr }
  | { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'isNull'; readonly arg: Expr; readonly not: boolean }
  /** `x IS [NOT] TRUE|FALSE` */
  | { readonly kind: 'isBool'; readonly arg: Expr; readonly value: boolean; readonly not: boolean }
  | {
      readonly kind: 'in';
      readonly arg: Expr;
      readonly list: readonly Expr[];
      readonly not: boolean;
    }
  | {
      readonly kind: 'inSelect';
      readonly arg: Expr;
      readonly select: Select;
      readonly not: boolean;
    }
  | { readonly kind: 'exists'; readonly select: Select }
  | { readonly kind: 'scalarSelect'; readonly select: Select }
  | {
      readonly kind: 'between';
      readonly arg: Expr;
      readonly low: Expr;
      readonly high: Expr;
      readonly not: boolean;
    }
  | {
      readonly kind: 'like';
      readonly op: 'LIKE' | 'REGEXP';
      readonly arg: Expr;
      readonly pattern: Expr;
      readonly not: boolean;
    }
  | {
      readonly kind: 'case';
      /** `CASE v WHEN …`; absent for `CASE WHEN …`. */
      readonly operand?: Expr;
      readonly whens: readonly { readonly when: Expr; readonly then: Expr }[];
      readonly otherwise?: Expr;
    }
  | { readonly kind: 'cast'; readonly arg: Expr; readonly type: SqlType }
  /** Function names in lower case. `INTERVAL 1 DAY` is an argument of kind `interval`. */
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Expr[];
      readonly distinct: boolean;
    }
  | { readonly kind: 'interval'; readonly value: Expr; readonly unit: string }
  /** DATE '…' and DATETIME/TIMESTAMP '…' literals. */
  | { readonly kind: 'typed'; readonly type: SqlType; readonly text: string };

export type BinaryOp =
  | 'OR'
  | 'AND'
  | 'XOR'
  | '='
  | '<=>'
  | '<>'
  | '<'
  | '<='
  | '>'
  | '>='
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | 'DIV'
  | '&'
  | '|'
  | '^'
  | '->';
