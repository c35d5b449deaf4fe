/** Finds the route of a path. Pure: no request is needed. */
import type { HttpRoute } from './http.types.ts';

export type RouteMatch =
  | { readonly kind: 'found'; readonly route: HttpRoute; readonly params: Record<string, string> }
  | { readonly kind: 'bad-path' }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'wrong-method'; readonly allowed: readonly string[] };

export function matchRoute(routes: readonly HttpRoute[], method: string, path: string): RouteMatch {
  const segments = pathSegments(path);
  if (segments === undefined) return { kind: 'bad-path' };
  const allowed = new Set<string>();
  for (const route of routes) {
    const params = matchPattern(route.path.split('/').slice(1), segments);
    if (params === undefined) continue;
    if (route.method === method || (route.method === 'GET' && method === 'HEAD')) {
      return { kind: 'found', route, params };
    }
    allowed.add(route.method);
    if (route.method === 'GET') allowed.add('HEAD');
  }
  return allowed.size === 0
    ? { kind: 'not-found' }
    : { kind: 'wrong-method', allowed: [...allowed] };
}

/** Decoded once. `undefined`: a step that leads elsewhere, or no path at all (`path.up`). */
function pathSegments(path: string): string[] | undefined {
  if (!path.startsWith('/')) return undefined;
  const segments: string[] = [];
  for (const raw of path.split('/').slice(1)) {
    let segment: string;
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    if (segment === '.' || segment === '..' || /[/\\\0-\x1f]/.test(segment)) return undefined;
    segments.push(segment);
  }
  return segments;
}

function matchPattern(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const params: Record<string, string> = Object.create(null);
  for (const [i, part] of pattern.entries()) {
    if (part.startsWith('*')) {
      params[part.slice(1)] = segments.slice(i).join('/');
      return segments.length > i ? params : undefined;
    }
    const segment = segments[i];
    if (segment === undefined) return undefined;
    if (!part.startsWith(':')) {
      if (part !== segment) return undefined;
    } else if (segment === '') {
      return undefined;
    } else {
      params[part.slice(1)] = segment;
    }
  }
  return segments.length === pattern.length ? params : undefined;
}
