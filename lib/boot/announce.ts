/**
 * Tells subscribers of `diagnostics_channel` what happens: `tsloop:seat` (`{ driver }`), `tsloop:fallback` (`{ reason }`) and
 * `tsloop:warning` (`{ code, message }`), each in the thread that it happens in. Where nobody listens it is one look, and Node's
 * module comes with the first thing to tell, all of which are rare.
 */

import type { Channel } from 'node:diagnostics_channel';
import { nextTick } from './host';

export type Topic = 'seat' | 'fallback' | 'warning';

const channels = { __proto__: null } as unknown as Record<Topic, Channel | undefined>;

/** The channel of a topic if somebody listens. */
function heard(topic: Topic): Channel | null {
  let channel = channels[topic];
  if (channel === undefined) {
    const module: typeof import('node:diagnostics_channel') = require('node:diagnostics_channel');
    channel = module.channel(`tsloop:${topic}`);
    channels[topic] = channel;
  }
  return channel.hasSubscribers ? channel : null;
}

/**
 * Tells of something once what is under way is over: a subscriber may use sockets, and we may be in the middle of events; it may
 * print, and the stream that it prints to may be what is being made. What it throws is Node's to report, as of any channel.
 */
export function announce(topic: Topic, message: object): void {
  const channel = heard(topic);
  if (channel !== null) nextTick(() => channel.publish(message), message);
}
