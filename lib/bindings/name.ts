/** `getsockname` and `getpeername`, for every class that has them. */

import { getEnvironment } from '../context/environment';
import { Control } from '../native/protocol';

/** What they fill. */
export interface Name {
  address?: string;
  family?: string;
  port?: number;
}

/** Fills in the address of a descriptor's own end or its peer's; 0 or a negative errno. */
export function fillName(fd: number, out: Name, peer: boolean): number {
  const { native, control } = getEnvironment();
  const found = native.name(fd, peer);
  if (typeof found === 'number') return found;
  out.address = found;
  out.family = control[Control.out2] === 1 ? 'IPv6' : 'IPv4';
  out.port = control[Control.out] as number;
  return 0;
}
