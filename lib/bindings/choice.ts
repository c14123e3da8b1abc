/** Whose handle lib/ gets where it asks for one: ours, or Node's with the reason counted. */

import { acceptor } from './accepted';
import { countFallback, whyNative } from './fallback';

/** Whether the handle under construction has to be Node's own, which is then counted; never that of an accepted connection. */
export type MustBeNative = (disabled?: boolean) => boolean;

/** `isOpen` opens the environment for the first who asks. */
export function chooser(isOpen: () => boolean): MustBeNative {
  return (disabled = false) => {
    if (acceptor() !== 0) return false;
    const why = disabled ? 'disabled' : (whyNative() ?? (isOpen() ? null : 'unavailable'));
    if (why !== null) countFallback(why);
    return why !== null;
  };
}
