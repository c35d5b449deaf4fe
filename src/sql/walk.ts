/** Walks over expressions, without going into subqueries, and over all parts of a statement. */
import type { Expr } from './ast/expr.ts';
import type { Select } from './ast/select.ts';

/** The direct parts of an expression. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'unary':
    case 'isNull':
    case 'isBool':
    case 'cast':
    case 'inSelect':
      return [expr.arg];
    case 'binary':
      return [expr.left, expr.right];
    case 'in':
      return [expr.arg, ...expr.list];
    case 'between':
      return [expr.arg, expr.low, expr.high];
    case 'like':
      return [expr.arg, expr.pattern];
    case 'case':
      return [
        ...(expr.operand === undefined ? [] : [expr.operand]),
        ...expr.whens.flatMap((w) => [w.when, w.then]),
        ...(expr.otherwise === undefined ? [] : [expr.otherwise]),
      ];
    case 'call':
      return expr.args;
    case 'interval':
      return [expr.value];
    default:
      return [];
  }
}

/** The expression with its direct parts and its subquery replaced. */
export function mapExpr(
  expr: Expr,
  f: (part: Expr) => Expr,
  onSelect: (select: Select) => Select,
): Expr {
  switch (expr.kind) {
    case 'unary':
    case 'isNull':
    case 'isBool':
    case 'cast':
      return { ...expr, arg: f(expr.arg) };
    case 'inSelect':
      return { ...expr, arg: f(expr.arg), select: onSelect(expr.select) };
    case 'exists':
    case 'scalarSelect':
      return { ...expr, select: onSelect(expr.select) };
    case 'binary':
      return { ...expr, left: f(expr.left), right: f(expr.right) };
    case 'in':
      return { ...expr, arg: f(expr.arg), list: expr.list.map(f) };
    case 'between':
      return { ...expr, arg: f(expr.arg), low: f(expr.low), high: f(expr.high) };
    case 'like':
      return { ...expr, arg: f(expr.arg), pattern: f(expr.pattern) };
    case 'case':
      return {
        ...expr,
        ...(expr.operand === undefined ? {} : { operand: f(expr.operand) }),
        whens: expr.whens.map((w) => ({ when: f(w.when), then: f(w.then) })),
        ...(expr.otherwise === undefined ? {} : { otherwise: f(expr.otherwise) }),
      };
    case 'call':
      return { ...expr, args: expr.args.map(f) };
    case 'interval':
      return { ...expr, value: f(expr.value) };
    default:
      return expr;
  }
}

/** Every part of a statement, subqueries and all: what is no object is a name or a value. */
export function eachPart(node: unknown, visit: (part: unknown) => void): void {
  visit(node);
  if (typeof node !== 'object' || node === null) return;
  for (const one of Object.values(node)) eachPart(one, visit);
}

/** As an EvalContext has them: `@x` and `@@x`, in lower case. */
export function variablesOf(select: Select): string[] {
  const names: string[] = [];
  eachPart(select, (part) => {
    const { kind, scope, name } = (part ?? {}) as Partial<Extract<Expr, { kind: 'variable' }>>;
    if (kind !== 'variable' || name === undefined) return;
    names.push(`${scope === 'user' ? '@' : '@@'}${name.toLowerCase()}`);
  });
  return names;
}
