/** An object with some of its methods changed; the rest, with private fields and getters, is its own. */
export function override<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(own, key) {
      if (Object.hasOwn(methods, key)) return Reflect.get(methods, key) as unknown;
      const value = Reflect.get(own, key, own) as unknown;
      return typeof value === 'function' ? (value as () => void).bind(own) : value;
    },
  });
}
