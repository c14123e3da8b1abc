/** Puts tsloop in, and takes it out again; remembers which, and why not. */

import { definePipe } from './bindings/pipe-wrap';
import { fetchSeam, type NativeClass, restore, type Seam, swap } from './bindings/seam';
import type { Stream } from './bindings/stream';
import { defineStreamHandle } from './bindings/stream-handle';
import { attachReadState } from './bindings/stream-read';
import { attachWriteState } from './bindings/stream-write';
import { defineTcp } from './bindings/tcp-wrap';
import { wrapWrap } from './bindings/tls-wrap';
import { addonIsPresent } from './boot/addon';
import type { Config } from './boot/config';
import { report } from './boot/report';
import { debug } from './debug';
import { createDispatcher } from './dispatch';
import { load, prepare } from './environment';
import { type Reason, reason } from './errors';
import { hookCreateHook } from './hooks/async-hooks';
import { hookChannel, hookLateNet, isLate } from './hooks/late-net';
import { hookResources } from './hooks/resources';
import { hookStdio } from './hooks/stdio';
import { acceptBoth, adoptChannel, attachPairs, wrapSpawn } from './hooks/transfer';

/** How this thread stands. */
export interface Standing {
  active: boolean;
  reason: Reason | null;
  config: Config | null;
}

export const standing: Standing = { active: false, reason: null, config: null };

/** Attaches tsloop to Node in this thread. A reason not to is reported once and kept in `standing`. */
export function install(config: Config): void {
  if (standing.active) return;
  standing.config = config;
  const why = addonIsPresent(config) ?? strictLoad(config) ?? attach(config);
  standing.active = why === null;
  standing.reason = why;
  if (why !== null) report(why, config);
  else debug(`attached, driver ${config.driver}`);
}

/** Detaches: handles made from here on are Node's; those that are open go on as they are. */
export function uninstall(): void {
  if (!standing.active) return;
  restore();
  detachLate?.();
  detachLate = null;
  standing.active = false;
}

/** Strict mode wants to know at once what the first handle would find out. */
function strictLoad(config: Config): Reason | null {
  if (!config.strict) return null;
  const loaded = load(config);
  return 'reason' in loaded ? loaded.reason : null;
}

interface Classes {
  readonly TCP: NativeClass;
  readonly Pipe: NativeClass;
  readonly NativePipe: NativeClass;
  readonly seam: Seam;
}

/** Defined once; a second `install()` attaches the same. */
let classes: Classes | null = null;
let detachLate: (() => void) | null = null;

function attach(config: Config): Reason | null {
  try {
    classes ??= define(config, fetchSeam());
    const { TCP, Pipe, NativePipe, seam } = classes;
    const { prototype } = seam.process.Process;
    swap(prototype, 'spawn', wrapSpawn(prototype.spawn, NativePipe));
    swap(seam.tls, 'wrap', wrapWrap(seam.tls.wrap));
    swap(seam.tcp, 'TCP', TCP);
    swap(seam.pipe, 'Pipe', Pipe);
    if (isLate()) detachLate = hookLateNet(TCP, Pipe);
    else hookChannel();
    return null;
  } catch (error) {
    restore();
    return reason('ERR_TSLOOP_SEAM', error instanceof Error ? error.message : String(error));
  }
}

function define(config: Config, seam: Seam): Classes {
  const { TCP: NativeTCP, Pipe: NativePipe } = { TCP: seam.tcp['TCP'], Pipe: seam.pipe['Pipe'] };
  if (NativeTCP === undefined || NativePipe === undefined) throw new Error('a handle class is missing');
  attachReadState(seam.stream.streamBaseState);
  attachWriteState(seam.stream.streamBaseState);
  const dispatcher = createDispatcher(seam.tick);
  prepare<Stream>(config, (create) => {
    const made = create(dispatcher);
    if (made !== null) dispatcher.setUp(made);
    return made;
  });
  const Handle = defineStreamHandle(seam.jsStream.JSStream);
  const TCP = defineTcp(Handle, NativeTCP, { typeOfService: 'setTypeOfService' in NativeTCP.prototype });
  const Pipe = definePipe(Handle, NativePipe, adoptChannel);
  const pairs = [
    { Native: NativeTCP, Ours: TCP },
    { Native: NativePipe, Ours: Pipe },
  ];
  attachPairs(pairs);
  for (const pair of pairs) acceptBoth(pair);
  hookStdio();
  hookResources();
  hookCreateHook((resource) => resource instanceof Handle);
  return { TCP, Pipe, NativePipe, seam };
}
