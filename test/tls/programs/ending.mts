/** Ends, in the way asked for, while threads are inside OpenSSL: the program that would crash without the gate. */
import * as tls from 'node:tls';
import { certificate, extensions, newKeys } from '../../support/certificates.mjs';
import { open, storm } from './probe.mjs';

const authority = [extensions.authority(), extensions.signsCertificates()];
const root = certificate({ subject: 'root', keys: newKeys.ec(), extensions: authority });
const leaf = certificate({ subject: 'localhost', keys: newKeys.ec(), issuer: root });
const context = open(tls.createSecureContext({ ca: root.pem }));
storm(context, [leaf.der, root.der], 3);
const [way, after] = process.argv.slice(3);
setTimeout(() => {
  if (way === 'exit') process.exit(7);
  if (way === 'throw') throw new Error('on purpose');
  // Otherwise nothing is left to wait for.
}, Number(after));
