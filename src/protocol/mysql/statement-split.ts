/**
 * Cuts a text into its statements at `;` by StarRocks' lexical rules: strings with doubled quotes and backslashes,
 * backquoted names, comments `-- …` and block comments. Pieces of blanks and comments alone are left out.
 * The parser has the last word on what a statement is; this is for the wire's flags and for the client's shell.
 */
export interface SplitText {
  readonly statements: readonly string[];
  /** What stands behind the last `;`; empty if that is blanks and comments alone. */
  readonly rest: string;
}

/** `shell`: `\G` and `\g` end a statement too, and stay at its end. */
export function splitStatements(sql: string, shell = false): SplitText {
  const statements: string[] = [];
  let start = 0;
  let hasContent = false;
  for (let at = 0; at < sql.length; ) {
    const end = tokenEnd(sql, at);
    if (shell && sql[at] === '\\' && /[gG]/.test(sql[at + 1] ?? '')) {
      if (hasContent) statements.push(sql.slice(start, at + 2).trim());
      start = at + 2;
      at = start;
      hasContent = false;
      continue;
    }
    const isComment = end - at > 1 && (sql[at] === '-' || sql[at] === '/');
    if (sql[at] === ';') {
      if (hasContent) statements.push(sql.slice(start, at).trim());
      start = end;
      hasContent = false;
    } else if (!isComment && sql.charCodeAt(at) > 0x20) {
      hasContent = true;
    }
    at = end;
  }
  return { statements, rest: hasContent ? sql.slice(start).trim() : '' };
}

/** Where that ends which must not be looked into: a string, quoted name or comment; else the next character. */
function tokenEnd(sql: string, at: number): number {
  const found = (index: number, length: number) => (index < 0 ? sql.length : index + length);
  switch (sql[at]) {
    case "'":
    case '"':
      return stringEnd(sql, at);
    case '`':
      return found(sql.indexOf('`', at + 1), 1);
    case '-':
      return sql[at + 1] === '-' ? found(sql.indexOf('\n', at), 1) : at + 1;
    case '/':
      return sql[at + 1] === '*' ? found(sql.indexOf('*/', at + 2), 2) : at + 1;
    default:
      return at + 1;
  }
}

/** A doubled quote needs no care here: it reads as the end of one string and the start of the next. */
function stringEnd(sql: string, from: number): number {
  const quote = sql[from];
  for (let at = from + 1; at < sql.length; at++) {
    if (sql[at] === '\\') at++;
    else if (sql[at] === quote) return at + 1;
  }
  return sql.length;
}
