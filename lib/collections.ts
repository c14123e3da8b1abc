/**
 * Maps and sets whose prototypes have the original methods as their own, out of the reach of whoever changes those of the
 * built-ins: `map.get(key)` stays as it is. As Node's of these names; to be walked by `forEach`.
 */

import {
  methodsOfMap,
  methodsOfSet,
  methodsOfWeakMap,
  methodsOfWeakSet,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectSetPrototypeOf,
  ReflectOwnKeys,
} from './primordials';

/** Gives a class the methods of its base. */
function own<C extends { readonly prototype: object }>(Class: C, methods: object): C {
  const { prototype } = Class;
  const keys = ReflectOwnKeys(methods);
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index] as keyof typeof methods;
    const descriptor = { __proto__: null, ...(methods[key] as PropertyDescriptor) } as PropertyDescriptor;
    if (key !== ('constructor' as never)) ObjectDefineProperty(prototype, key, descriptor);
  }
  ObjectSetPrototypeOf(prototype, null);
  ObjectFreeze(prototype);
  return Class;
}

export const SafeMap = own(class SafeMap<K, V> extends Map<K, V> {}, methodsOfMap);
export type SafeMap<K, V> = Map<K, V>;
export const SafeSet = own(class SafeSet<T> extends Set<T> {}, methodsOfSet);
export type SafeSet<T> = Set<T>;
export const SafeWeakMap = own(class SafeWeakMap<K extends object, V> extends WeakMap<K, V> {}, methodsOfWeakMap);
export const SafeWeakSet = own(class SafeWeakSet<T extends object> extends WeakSet<T> {}, methodsOfWeakSet);
