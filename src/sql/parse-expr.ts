/**
 * Expressions by precedence, loosest first: OR, XOR, AND, NOT, comparison, `|`, `&`, `+ -`, `* / % DIV MOD`, `^`,
 * unary (semantics.md 5.3). Left-leaning chains grow in loops, so that their length costs no stack.
 */
import type { BinaryOp, Expr } from './ast/expr.ts';
import type { Select } from './ast/select.ts';
import { parseType } from './parse-type.ts';
import { BARE_FUNCTIONS, RESERVED_FUNCTIONS, RESERVED_WORDS } from './reserved-words.ts';
import type { TokenCursor } from './token-cursor.ts';

/** Subqueries need SELECT's parser, which needs this one. */
export type ParseSelect = (cursor: TokenCursor) => Select;

const LEVELS: readonly Readonly<Record<string, BinaryOp>>[] = [
  { OR: 'OR', '||': 'OR' },
  { XOR: 'XOR' },
  { AND: 'AND', '&&': 'AND' },
];
const ARITHMETIC: readonly Readonly<Record<string, BinaryOp>>[] = [
  { '|': '|' },
  { '&': '&' },
  { '+': '+', '-': '-' },
  { '*': '*', '/': '/', '%': '%', DIV: 'DIV', MOD: '%' },
  { '^': '^' },
];
const COMPARISONS: Readonly<Record<string, BinaryOp>> = {
  '=': '=',
  '<=>': '<=>',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

const UNITS: readonly string[] = [
  ...['YEAR', 'QUARTER', 'MONTH', 'WEEK', 'DAY', 'HOUR', 'MINUTE', 'SECOND'],
  ...['MILLISECOND', 'MICROSECOND'],
];

export class ExprParser {
  readonly #cursor: TokenCursor;
  readonly #select: ParseSelect;

  constructor(cursor: TokenCursor, select: ParseSelect) {
    this.#cursor = cursor;
    this.#select = select;
  }

  parse(): Expr {
    return this.#cursor.nested(() => this.#logical(0));
  }

  #chain(operators: Readonly<Record<string, BinaryOp>>, operand: () => Expr): Expr {
    const cursor = this.#cursor;
    let left = operand();
    for (;;) {
      const { kind, upper } = cursor.token;
      if (kind === 'quoted' || !Object.hasOwn(operators, upper)) {
        cursor.wants(...Object.keys(operators));
        return left;
      }
      const op = operators[upper]!;
      cursor.advance();
      cursor.countNode();
      const height = cursor.height;
      const right = operand();
      cursor.grow(height + 1);
      left = { kind: 'binary', op, left, right };
    }
  }

  #logical(level: number): Expr {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#not();
    return this.#chain(operators, () => this.#logical(level + 1));
  }

  #not(): Expr {
    const cursor = this.#cursor;
    if (cursor.token.upper !== 'NOT') return this.#comparison();
    cursor.advance();
    return cursor.nested(() => ({ kind: 'unary', op: 'NOT', arg: this.#not() }));
  }

  #comparison(): Expr {
    const cursor = this.#cursor;
    let left = this.#arithmetic(0);
    for (;;) {
      const { upper, kind } = cursor.token;
      if (kind === 'operator' && Object.hasOwn(COMPARISONS, upper)) {
        cursor.advance();
        cursor.countNode();
        const height = cursor.height;
        const right = this.#arithmetic(0);
        cursor.grow(height + 1);
        left = { kind: 'binary', op: COMPARISONS[upper]!, left, right };
        continue;
      }
      const height = cursor.height;
      const next = this.#predicate(left);
      if (next === undefined) return left;
      cursor.countNode();
      cursor.grow(height + 1);
      left = next;
    }
  }

  #predicate(arg: Expr): Expr | undefined {
    const cursor = this.#cursor;
    if (cursor.accept('IS')) {
      const not = cursor.accept('NOT');
      const word = cursor.expectOneOf('NULL', 'TRUE', 'FALSE');
      if (word === 'NULL') return { kind: 'isNull', arg, not };
      return { kind: 'isBool', arg, value: word === 'TRUE', not };
    }
    const negated =
      cursor.token.upper === 'NOT' &&
      ['IN', 'BETWEEN', 'LIKE', 'REGEXP', 'RLIKE'].includes(cursor.peek(1).upper);
    if (negated) cursor.advance();
    const not = negated;
    if (cursor.accept('IN')) return this.#in(arg, not);
    if (cursor.accept('BETWEEN')) {
      const low = this.#arithmetic(0);
      cursor.expect('AND');
      return { kind: 'between', arg, low, high: this.#arithmetic(0), not };
    }
    if (cursor.accept('LIKE')) {
      return { kind: 'like', op: 'LIKE', arg, pattern: this.#arithmetic(0), not };
    }
    if (cursor.acceptOneOf('REGEXP', 'RLIKE') !== undefined) {
      return { kind: 'like', op: 'REGEXP', arg, pattern: this.#arithmetic(0), not };
    }
    return undefined;
  }

  #in(arg: Expr, not: boolean): Expr {
    const cursor = this.#cursor;
    cursor.expect('(');
    if (cursor.token.upper === 'SELECT' || cursor.token.upper === 'WITH') {
      const select = cursor.nested(() => this.#select(cursor));
      cursor.expect(')');
      return { kind: 'inSelect', arg, select, not };
    }
    const list = cursor.list(() => this.parse());
    cursor.expect(')');
    return { kind: 'in', arg, list, not };
  }

  #arithmetic(level: number): Expr {
    const operators = ARITHMETIC[level];
    if (operators === undefined) return this.#unary();
    return this.#chain(operators, () => this.#arithmetic(level + 1));
  }

  #unary(): Expr {
    const cursor = this.#cursor;
    const { upper } = cursor.token;
    if (upper === '-' || upper === '+' || upper === '~') {
      cursor.advance();
      return cursor.nested(() => ({ kind: 'unary', op: upper, arg: this.#unary() }));
    }
    // Unlike NOT, `!` binds tighter than any operator: `!a = b` is `(NOT a) = b`.
    if (upper === '!') {
      cursor.advance();
      return cursor.nested(() => ({ kind: 'unary', op: 'NOT', arg: this.#unary() }));
    }
    return this.#postfix(this.#primary());
  }

  #postfix(start: Expr): Expr {
    const cursor = this.#cursor;
    let left = start;
    while (cursor.token.upper === '->' || cursor.token.upper === '->>') {
      const text = cursor.advance().value === '->>';
      const path = cursor.string('a JSON path');
      cursor.grow(cursor.height + 1);
      const json: Expr = { kind: 'binary', op: '->', left, right: { kind: 'string', value: path } };
      left = text
        ? {
            kind: 'call',
            name: 'get_json_string',
            args: [json, { kind: 'string', value: '$' }],
            distinct: false,
          }
        : json;
    }
    return left;
  }

  #primary(): Expr {
    const cursor = this.#cursor;
    const { token } = cursor;
    cursor.countNode();
    switch (token.kind) {
      case 'number':
        cursor.advance();
        return { kind: 'number', text: token.value };
      case 'string':
        cursor.advance();
        return { kind: 'string', value: token.value };
      case 'parameter':
        return cursor.parameter();
      case 'quoted':
        return this.#named();
      case 'word':
        return this.#word();
      default:
        break;
    }
    if (token.upper === '(') {
      cursor.advance();
      if (cursor.token.upper === 'SELECT' || cursor.token.upper === 'WITH') {
        const select = cursor.nested(() => this.#select(cursor));
        cursor.expect(')');
        return { kind: 'scalarSelect', select };
      }
      const inner = this.parse();
      cursor.expect(')');
      return inner;
    }
    if (token.upper === '@' || token.upper === '@@') return this.#variable();
    if (token.upper === '*') {
      cursor.advance();
      return { kind: 'star', path: [] };
    }
    cursor.wants('an expression');
    return cursor.fail();
  }

  #word(): Expr {
    const cursor = this.#cursor;
    const { token } = cursor;
    switch (token.upper) {
      case 'NULL':
        cursor.advance();
        return { kind: 'null' };
      case 'TRUE':
      case 'FALSE':
        cursor.advance();
        return { kind: 'boolean', value: token.upper === 'TRUE' };
      case 'CASE':
        return this.#case();
      case 'CAST':
        if (cursor.peek(1).upper === '(') return this.#cast();
        break;
      case 'EXISTS': {
        cursor.advance();
        const select = cursor.inParentheses(() => cursor.nested(() => this.#select(cursor)));
        return { kind: 'exists', select };
      }
      case 'INTERVAL':
        if (this.#atInterval()) {
          cursor.advance();
          const value = this.#unary();
          return { kind: 'interval', value, unit: cursor.expectOneOf(...UNITS) };
        }
        break;
      case 'DATE':
      case 'DATETIME':
      case 'TIMESTAMP':
        if (cursor.peek(1).kind === 'string') {
          cursor.advance();
          const name = token.upper === 'DATE' ? 'DATE' : 'DATETIME';
          return { kind: 'typed', type: { name }, text: cursor.string() };
        }
        break;
      default:
        break;
    }
    if (BARE_FUNCTIONS.has(token.upper) && cursor.peek(1).upper !== '(') {
      cursor.advance();
      return { kind: 'call', name: token.value.toLowerCase(), args: [], distinct: false };
    }
    const call = cursor.peek(1).upper === '(' && cursor.peek(1).kind === 'operator';
    if (call && (!RESERVED_WORDS.has(token.upper) || RESERVED_FUNCTIONS.has(token.upper))) {
      return this.#call();
    }
    return this.#named();
  }

  /** INTERVAL is a name too: it starts an interval where a value and a unit can follow. */
  #atInterval(): boolean {
    const cursor = this.#cursor;
    const { kind, upper } = cursor.peek(1);
    const after = cursor.peek(2);
    if (kind === 'operator') {
      if (upper === '-') return after.kind === 'number' && UNITS.includes(cursor.peek(3).upper);
      return upper === '(' || upper === '@' || upper === '@@';
    }
    if (kind === 'word' && RESERVED_WORDS.has(upper)) {
      const called = RESERVED_FUNCTIONS.has(upper) && after.upper === '(';
      return called || ['CASE', 'NULL', 'TRUE', 'FALSE'].includes(upper);
    }
    if (kind !== 'word' && kind !== 'quoted') return kind !== 'end';
    const joined = after.upper === '.' || after.upper === '(' || after.kind === 'string';
    return joined || UNITS.includes(after.upper);
  }

  /** `a`, `t.a`, `db.t.a`, `t.*` */
  #named(): Expr {
    const cursor = this.#cursor;
    const path = [cursor.name()];
    while (cursor.accept('.')) {
      if (cursor.accept('*')) return { kind: 'star', path };
      path.push(cursor.nameAfterDot());
      if (path.length > 3) cursor.refuse('a column name has at most three parts');
    }
    return { kind: 'column', path };
  }

  #call(): Expr {
    const cursor = this.#cursor;
    const name = cursor.advance().value.toLowerCase();
    cursor.expect('(');
    if (cursor.accept(')')) return { kind: 'call', name, args: [], distinct: false };
    const distinct = cursor.accept('DISTINCT');
    const args = cursor.list(() => this.parse());
    cursor.expect(')');
    if (cursor.token.upper === 'OVER') cursor.refuse('window functions are not supported yet');
    return { kind: 'call', name, args, distinct };
  }

  #cast(): Expr {
    const cursor = this.#cursor;
    cursor.advance();
    cursor.expect('(');
    const arg = this.parse();
    cursor.expect('AS');
    const type = parseType(cursor, 'cast');
    cursor.expect(')');
    return { kind: 'cast', arg, type };
  }

  #case(): Expr {
    const cursor = this.#cursor;
    cursor.advance();
    const operand = cursor.at('WHEN') ? undefined : this.parse();
    const whens: { when: Expr; then: Expr }[] = [];
    cursor.expect('WHEN');
    do {
      const when = this.parse();
      cursor.expect('THEN');
      whens.push({ when, then: this.parse() });
    } while (cursor.accept('WHEN'));
    const otherwise = cursor.accept('ELSE') ? this.parse() : undefined;
    cursor.expect('END');
    return {
      kind: 'case',
      whens,
      ...(operand === undefined ? {} : { operand }),
      ...(otherwise === undefined ? {} : { otherwise }),
    };
  }

  #variable(): Expr {
    const cursor = this.#cursor;
    if (cursor.advance().value === '@') {
      return { kind: 'variable', scope: 'user', name: cursor.nameAfterDot() };
    }
    let scope: 'session' | 'global' = 'session';
    let name = cursor.nameAfterDot();
    if (cursor.accept('.')) {
      scope = name.toLowerCase() === 'global' ? 'global' : 'session';
      name = cursor.nameAfterDot();
    }
    return { kind: 'variable', scope, name: name.toLowerCase() };
  }
}
